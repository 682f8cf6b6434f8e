"""i1-3B at full size on random weights: memory of loading, and two steps without an accelerator.

Takes 26 GB of disk while it runs. What it measures, docs/performance.md quotes:
`pytest -n 0 -m slow -s packages/i1-sample/tests/test_full_size.py`.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from i1_model.arrays.lazy import LazyArray
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.autoencoders.kl import KLSizes
from i1_model.checkpoints.names import to_released
from i1_model.denoiser import init_denoiser
from i1_model.sizes import model_config
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from published import write_encoder, write_vae

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]
NUM_PARAMETERS = 3_166_272_848
ALLOWED = 1.15
BLOCK = np.random.default_rng(0).normal(0, 0.02, 2**20).astype(np.float32)

MEASURE = """
import json, os, sys, time
import jax, jax.numpy as jnp
def status(field):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(field))
def characters():
    return next(int(line.split()[1]) for line in open("/proc/self/io") if line.startswith("rchar"))
"""
LOAD = """
from i1_model.checkpoints.stored import open_stored
jax.jit(lambda x: x + 1)(jnp.zeros(8)).block_until_ready()
before, read, start, calls = status("VmHWM"), characters(), time.time(), []
with open_stored(sys.argv[1]) as stored:
    params = stored.load("bfloat16", progress=lambda done, total: calls.append(done / total)).params
seconds = time.time() - start
kept = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
print(json.dumps({"kept": kept, "above": status("VmHWM") - before, "interpreter": before, "seconds": seconds,
    "read": characters() - read, "progress": calls[-1], "ordered": calls == sorted(calls)}))
"""
CONVERT = """
from i1_model.conversion.convert import convert
before, start = status("VmHWM"), time.time()
convert(sys.argv[1], sys.argv[2], "torch")
print(json.dumps({"above": status("VmHWM") - before, "seconds": time.time() - start}))
"""
SAMPLE = """
from i1_sample import Pipeline
start, events = time.time(), []
pipeline = Pipeline.from_pretrained(sys.argv[1], dtype="bfloat16", text_encoder=sys.argv[2], vae=sys.argv[3],
    offload=True)
job = pipeline.plan("a red circle", num_inference_steps=2)
for event in pipeline.run(job):
    event.padded_latents.block_until_ready()
    events.append({"seconds": time.time() - start, "VmHWM": status("VmHWM"), "VmRSS": status("VmRSS")})
picture = event.images()
print(json.dumps({"steps": events, "seconds": time.time() - start, "VmHWM": status("VmHWM"),
    "finite": bool(jnp.isfinite(event.padded_latents).all()), "shape": picture.shape}))
"""


def measure(code: str, *arguments: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result))
    return result


def repeated(shape: tuple[int, ...], *, ones: bool) -> np.ndarray:
    return np.ones(shape, np.float32) if ones else np.resize(BLOCK, shape)


def write_npz(path: Path) -> int:
    """Writes the averaged weights of i1-3B at 256 as they are released; returns the bytes of the arrays."""
    config = model_config(
        "i1-3B",
        text_encoders=(T5GemmaEncoder(),),
        autoencoder=Flux2Autoencoder(),
        resolution=256,
    )
    _, shapes = jax.eval_shape(lambda: nnx.split(init_denoiser(config, jax.random.key(0))))
    total = 0
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, like in to_released(shapes).items():
            array = repeated(like.shape, ones=name.endswith("scale"))
            with archive.open(f"params_ema/{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array)
            total += array.size
    assert total == NUM_PARAMETERS
    return 4 * total


def check_loading(path: Path, array_bytes: int) -> None:
    found = measure(LOAD, path)
    assert abs(found["kept"] - 2 * NUM_PARAMETERS) < 2_000_000
    assert found["above"] <= ALLOWED * found["kept"]
    assert found["read"] < 1.01 * array_bytes
    assert found["progress"] == 1
    assert found["ordered"]


def test_loading_and_sampling(tmp_path: Path, monkeypatch) -> None:
    npz, torch = tmp_path / "checkpoint.npz-002000000", tmp_path / "256_resolution_checkpoint_torch.pt"
    array_bytes = write_npz(npz)
    check_loading(npz, array_bytes)
    converted = measure(CONVERT, npz, torch)
    assert converted["above"] < 1e9
    npz.unlink()
    check_loading(torch, array_bytes)

    def in_bfloat16(random: object, name: str, shape: tuple[int, ...]) -> LazyArray:
        ones = name.endswith("running_var")
        values = LazyArray.of(np.broadcast_to(np.float32(ones), shape))
        if not ones:
            values = LazyArray(
                shape,
                values.dtype,
                values.stored,
                lambda out: out.reshape(-1).__setitem__(..., flat(out.size)),
            )
        return values.astype(jax.numpy.bfloat16) if "layers" in name or "embed" in name else values

    def flat(size: int) -> np.ndarray:
        return np.resize(BLOCK, size)

    monkeypatch.setattr("published.random_array", in_bfloat16)
    text = write_encoder(tmp_path / "text", T5GemmaEncoder(), 5_000_000_000)
    vae = write_vae(tmp_path / "vae", KLSizes())
    found = measure(SAMPLE, torch, text, vae)
    assert found["finite"]
    assert found["shape"] == [1, 256, 256, 3]
    assert found["VmHWM"] < 22e9
    for path in (torch, *text.iterdir(), *vae.iterdir()):
        path.unlink()
