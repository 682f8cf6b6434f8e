"""The noise of image k depends on (seed, k) alone; weights go where they are wanted, on several devices."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from i1_sample.programs import Programs
from i1_sample.solvers.one_step import Euler
from i1_sample.testing.models import TINY
from published import ENCODER, MODEL, TEXT, VAE, snapshot

SPREAD = """
import sys
from dataclasses import replace
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from i1_model.checkpoints.stored import open_stored
from i1_model.ops.sharding import spread_over
from i1_sample.loading import find_parts
from i1_sample.keywords import load_options
from i1_sample.programs import Programs
from i1_sample.solvers.one_step import Euler
from i1_sample.testing.models import TINY

assert jax.device_count() == 4
indices = jax.device_put(
    np.arange(8, dtype=np.uint32), NamedSharding(Mesh(np.array(jax.devices()), "data"), PartitionSpec("data"))
)
noise, _ = Programs(TINY).start(np.uint32(7), indices, Euler(), (16, 16))
assert len(noise.sharding.device_set) == 4

(model, text, vae, found), asked = sys.argv[1:], {}
def sharding(path, shape):
    asked[path] = place(path, shape)
    return asked[path]
place = spread_over(jax.devices())
parts = find_parts(
    load_options(model, dict(dtype="bfloat16", text_encoder=text, vae=vae, sharding=sharding))
)
params = parts.load_params()
kernel = params["backbone"]["x_embedder"]["proj"]["kernel"][...]
assert kernel.sharding == asked["backbone/x_embedder/proj/kernel"], asked
assert (kernel.dtype, kernel.shape) == ("bfloat16", (2, 2, 4, 24))
assert {shard.data.shape for shard in kernel.addressable_shards} == {(2, 2, 4, 6)}
with open_stored(model) as stored:
    whole = np.asarray(stored.arrays["x_embedder/proj/kernel"]).astype(kernel.dtype)
np.testing.assert_array_equal(kernel, whole)
texts = tuple(replace(text, dtype="float32") for text in parts.config.text_encoders)
programs = Programs(replace(parts.config, text_encoders=texts), sharding=sharding)
(encoder,) = programs.text_encoders
embed = encoder.params["embed"]
assert embed.sharding == asked["embed"]
assert {shard.data.shape for shard in embed.addressable_shards} == {(9, 4)}
weight = programs.autoencoder.params["decoder"]["conv_in"]["weight"][...]
assert weight.sharding == asked["decoder/conv_in/weight"]
caption = programs.encode(programs.encoder_params, programs.tokenize(["a red circle"]))[0]
assert len(caption.sharding.device_set) == 4
np.savez(found, noise=noise, caption=caption)
"""


def noise(first: int, count: int) -> np.ndarray:
    indices = np.arange(first, first + count, dtype=np.uint32)
    return np.asarray(Programs(TINY).start(np.uint32(7), indices, Euler(), (16, 16))[0])


@pytest.fixture(scope="module")
def alone() -> np.ndarray:
    key = jax.random.key(7)
    return np.stack([jax.random.normal(jax.random.fold_in(key, k), (4, 4, 48)) for k in range(8)])


@pytest.mark.parametrize("size", [1, 3, 8])
def test_any_batch(alone: np.ndarray, size: int) -> None:
    for first in range(0, 9 - size, size):
        np.testing.assert_array_equal(noise(first, size), alone[first : first + size])


def test_four_devices(alone: np.ndarray, published: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    (model,) = snapshot(published, MODEL).glob("*.pt")
    text = snapshot(published, ENCODER)
    parts = [model, text, snapshot(published, VAE), tmp_path / "found.npz"]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
    }
    subprocess.run([sys.executable, "-c", SPREAD, *map(str, parts)], check=True, env=environment)
    found = np.load(parts[-1])
    np.testing.assert_array_equal(found["noise"], alone)
    encoder = replace(TEXT.at(text), dtype="float32").build()
    whole = jax.jit(encoder.encode)(encoder.params, encoder.tokenize(["a red circle"]))
    np.testing.assert_allclose(found["caption"], whole, atol=1e-5)
