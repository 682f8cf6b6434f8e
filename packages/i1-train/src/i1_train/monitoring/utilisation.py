"""How much of a device a step uses: its matrix operations against the chip's peak, and its memory."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_model.ops.chips import GIB, peak_flops
from i1_model.ops.flops import count_flops

from i1_train.config import TrainConfig
from i1_train.parts import Parts
from i1_train.step import encode_captions, to_float


@dataclass(frozen=True)
class Chip:
    """What the utilisation is computed from.

    Attributes:
        step_flops: matrix operations of one step on all devices, without those that are done again.
        peak_flops: bfloat16 operations per second of all devices.
    """

    step_flops: float
    peak_flops: float


def find_chip(config: TrainConfig, parts: Parts, constants: Any) -> Chip | None:
    """Returns the peak of this run's devices and the work of its step; `None` for chips of unknown peak."""
    peak = peak_flops(jax.devices()[0].device_kind)
    if peak is None:
        return None
    return Chip(step_flops(config, parts, constants), peak * jax.device_count())


def step_flops(config: TrainConfig, parts: Parts, constants: Any) -> float:
    """Returns the matrix operations of a step: the encoders once, the denoiser three times.

    Its backward pass takes twice the operations of the forward pass. What a step computes again to save
    memory, and everything that is no matrix product or convolution, does not count.
    """
    size = config.batch_size
    tokens = jax.tree.map(lambda array: np.repeat(array, size, axis=0), parts.tokenize(["a"]))
    image = jax.ShapeDtypeStruct((size, config.model.resolution, config.model.resolution, 3), jnp.uint8)
    batch = {"image": image, "tokens": tokens}

    def encode(constants: Any, batch: Any) -> Any:
        latents = parts.autoencoder.encode(constants["autoencoder"], to_float(batch["image"]), None)
        return latents, *encode_captions(parts, constants["text"], batch["tokens"])

    def denoise(params: Any, inputs: Any) -> jax.Array:
        latents, captions, masks = inputs
        time = jnp.zeros(latents.shape[:1], jnp.float32)
        return parts.network.denoiser(params)(latents, time, captions, masks)

    inputs = jax.eval_shape(encode, constants, batch)
    return count_flops(encode, constants, batch) + 3 * count_flops(denoise, parts.network.shapes, inputs)


def memory() -> dict[str, float]:
    """Returns the largest memory so far in GiB: `memory/device`, and `memory/host` of this process.

    The first is absent where the device does not tell.
    """
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"memory/host": largest / GIB * (1 if sys.platform == "darwin" else 1024)}
    stats = jax.local_devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        found["memory/device"] = stats["peak_bytes_in_use"] / GIB
    return found
