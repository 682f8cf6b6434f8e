"""The contenders of the training benchmark, each in a process of its own that runs steps when told.

    python benchmarks/train_workers.py '{"kind": "ours", "hidden": 256, ...}'

prints one JSON line when it is ready, then for each number n on its standard input runs n steps and prints
`{"seconds": [...]}`.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], float]


def main() -> None:
    """Serves one contender."""
    task = json.loads(sys.argv[1])
    os.environ["XLA_FLAGS"] = task.get("xla_flags", "")
    if task["kind"] in ("equal", "loop", "rate"):
        print(json.dumps(measure(task)), flush=True)
        return
    make = {"ours": make_ours, "plain": make_plain, "eager": make_eager, "compile": make_compiled}
    step, note = make[task["kind"]](task)
    step()  # compiles
    print(json.dumps({"ready": True, "loss": step(), **note}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        print(json.dumps({"seconds": seconds}), flush=True)


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Returns what is measured once: equality with the twin, the loop around the step, a card's rate."""
    import train_once
    from i1_train.process.host_memory import keep_host_memory

    if task["kind"] == "rate":
        return train_once.measure_rate(task["size"])
    config = build_config(task)
    if task["kind"] == "equal":
        return train_once.measure_equal(config)
    keep_host_memory()
    return train_once.measure_loop(config, steps=task["steps"], warmup=task["warmup"])


def build_config(task: dict[str, Any]) -> Any:
    """Returns the recipe of a task, with its own settings."""
    from i1_hooks import override
    from train_model import bench_config

    sizes = {name: task[name] for name in ("hidden", "heads", "depth", "batch", "grid", "text_width")}
    return override(bench_config(**sizes), task.get("set", []))


def captions(batch: int) -> list[str]:
    """Returns captions of 60 to 230 tokens."""
    lengths = np.random.default_rng(0).integers(60, 230, batch)
    return [" ".join(f"word{i}" for i in range(length)) for length in lengths]


def make_ours(task: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """Returns our training step on one batch that stays on the device."""
    import jax
    from i1_train.parts import build_parts
    from i1_train.process.host_memory import keep_host_memory
    from i1_train.step import init_state, make_step

    if task.get("keep_memory", True):
        keep_host_memory()
    config = build_config(task)
    parts = build_parts(config)
    constants = jax.device_put(parts.constants(0))
    state = jax.jit(lambda key: init_state(parts, key))(constants["key"])
    size = config.model.resolution
    images = np.random.default_rng(0).integers(0, 256, (config.batch_size, size, size, 3), np.uint8)
    batch = jax.device_put({"image": images, "tokens": parts.tokenize(captions(config.batch_size))})
    train_step = make_step(config, parts)
    held = {"state": state}

    def step() -> float:
        held["state"], metrics = train_step(held["state"], constants, batch)
        return float(metrics["loss"])

    return step, {}


def make_plain(task: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """Returns our step in float32, unrolled, all attention logits held, with malloc as it comes."""
    from i1_model.ops import attention

    attention.xla_attention = functools.partial(attention.xla_attention, plain_bytes=2**62)
    plain = ["model.compute_dtype=float32", "model.backbone.layers=unrolled", "model.backbone.remat=none"]
    xla = ["model.backbone.attention=xla", "model.adapter.attention=xla"]
    return make_ours({**task, "set": [*plain, *xla], "xla_flags": "", "keep_memory": False})


def make_eager(task: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """Returns the step of the PyTorch twin as written."""
    return make_torch(task, compiled=False)


def make_compiled(task: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """Returns the step of the PyTorch twin under `torch.compile`."""
    return make_torch(task, compiled=True)


def make_torch(task: dict[str, Any], *, compiled: bool) -> tuple[Step, dict[str, Any]]:
    """Returns a training step of the twin: draws, loss, clip, Adam, average; embeddings are given."""
    import torch
    from torch_twin import Twin

    torch.manual_seed(0)
    config = build_config(task)
    device = torch.device(task.get("device", "cpu"))
    torch.set_num_threads(task.get("threads", 2))
    encoder = config.model.text_encoders[0]
    twin = Twin.of(config.model).to(device)
    reduced = torch.autocast(device.type, torch.bfloat16, enabled=task.get("dtype") == "bfloat16")
    params = [p for p in twin.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in params]
    optimizer = torch.optim.Adam(params, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)
    images = config.batch_size
    latents = torch.randn(images, *config.model.latent_shape, device=device)
    text = torch.randn(images, encoder.num_tokens, encoder.width, device=device)
    lengths = np.array([len(caption.split()) for caption in captions(images)])
    mask = torch.from_numpy(np.arange(encoder.num_tokens)[None] < lengths[:, None]).to(device)
    tokens = latents.shape[1] * latents.shape[2] // 4 + encoder.num_tokens
    angles = torch.randn(images, tokens, task["hidden"] // task["heads"] // 2, device=device)
    cos, sin = angles.cos(), angles.sin()

    def loss_of() -> torch.Tensor:
        noise = torch.randn_like(latents)
        time = torch.sigmoid(torch.randn(images, device=device))[:, None, None, None]
        drop = torch.rand(images, device=device) < 0.1
        with reduced:
            prediction = twin((1 - time) * noise + time * latents, text, mask, drop, cos, sin)
        return (prediction.float() - (latents - noise)).square().mean()

    run = torch.compile(loss_of) if compiled else loss_of

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = run()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        torch._foreach_lerp_(average, params, 1e-4)
        return float(loss.detach())

    return step, {"torch": torch.__version__}


if __name__ == "__main__":
    main()
