"""What the training benchmark measures once: equality with PyTorch, the loop, a card's rate."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def measure_equal(config: Any) -> dict[str, Any]:
    """Compares loss and gradient norm of our network and the PyTorch twin on the same weights and inputs.

    Returns:
        both losses, both gradient norms, and the largest relative difference of the two pairs.
    """
    import jax
    import jax.numpy as jnp
    import torch
    from i1_model.checkpoints.names import to_released
    from i1_train.network import make_network
    from torch_twin import Twin, load_released

    model = config.model
    network = make_network(model)
    params = jax.jit(network.init)(jax.random.key(0))
    batch, encoder = config.batch_size, model.text_encoders[0]
    rng = np.random.default_rng(0)
    noisy, target = rng.standard_normal((2, batch, *model.latent_shape), np.float32)
    text = rng.standard_normal((batch, encoder.num_tokens, encoder.width), np.float32)
    mask = np.arange(encoder.num_tokens)[None] < rng.integers(1, encoder.num_tokens, batch)[:, None]
    drop = np.arange(batch) % 2 == 1
    moment = np.full(batch, 0.5, np.float32)

    def loss_of(params: Any) -> jax.Array:
        prediction = network.denoiser(params)(noisy, moment, [text], [mask], [drop])
        return jnp.mean(jnp.square(prediction - target))

    loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
    del grads["backbone/pos_embed"]
    norm = float(jnp.sqrt(jnp.stack([jnp.sum(jnp.square(g)) for g in grads.values()]).sum()))

    table = network.denoiser(params).backbone.condition(jnp.zeros((batch, 1, 1)), jnp.asarray(mask))
    cos, sin = (torch.from_numpy(np.array(part)) for part in table.table)
    twin = Twin.of(model)
    load_released(
        twin, {name: np.asarray(value) for name, value in to_released(network.state(params)).items()}
    )
    inputs = [torch.from_numpy(np.asarray(value)) for value in (noisy, text, mask, drop)]
    error = (twin(*inputs, cos, sin) - torch.from_numpy(target)).square().mean()
    error.backward()
    squares = [p.grad.square().sum() for p in twin.parameters() if p.grad is not None]
    torch_norm = float(torch.stack(squares).sum().sqrt())
    pairs = [(float(loss), float(error.detach())), (norm, torch_norm)]
    return {
        "loss": pairs[0],
        "gradient_norm": pairs[1],
        "relative_difference": max(abs(a - b) / abs(b) for a, b in pairs),
    }


def measure_loop(config: Any, *, steps: int, warmup: int) -> dict[str, Any]:
    """Runs the training loop's own parts on the scenes, and says where the main thread's time goes.

    Returns:
        seconds per step: `step` all of it and `data` waiting for the next batch, means on the wall's clock;
        `dispatch` inside JAX's call of the step and `host` everything else, medians of the main thread's
        processor time, which passes while the device computes the step before.
    """
    import jax
    from i1_train.opening import open_run

    rows = []
    with tempfile.TemporaryDirectory() as folder, open_run(config, Path(folder) / "run") as run:
        before = None
        for step in range(1, steps + 1):
            begin, work = time.perf_counter(), time.thread_time()
            batch = next(run.batches)
            waited = time.perf_counter() - begin
            arrays = run.to_device(batch)
            call = time.thread_time()
            run.state, metrics = run.train_step(run.state, run.constants, arrays)
            sent = time.thread_time()
            jax.block_until_ready(before)
            done = time.thread_time()
            run.step = step
            run.log(metrics, batch)
            before = metrics
            dispatch, host = sent - call, (call - work) + (time.thread_time() - done)
            rows.append((time.perf_counter() - begin, waited, dispatch, host))
        run.metrics.flush()
    step, data, dispatch, host = np.array(rows[warmup:]).T
    means = {"step": float(step.mean()), "data": float(data.mean())}
    return {**means, "dispatch": float(np.median(dispatch)), "host": float(np.median(host))}


def measure_rate(size: int) -> dict[str, Any]:
    """Returns the rate of a large bfloat16 matrix product of the first CUDA device, operations per second.

    Raises:
        RuntimeError: without such a device.
    """
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device")
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(10):
            a @ b
        torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - begin) / 10)
    return {"rate": 2 * size**3 / best, "device": torch.cuda.get_device_name()}
