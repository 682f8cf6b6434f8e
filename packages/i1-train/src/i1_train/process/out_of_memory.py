"""A device that has no memory left: what fills it, and what can be changed."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

import jax
from i1_hooks import UserError, to_dict

from i1_train.config import TrainConfig
from i1_train.workdir import flatten_json

MARK = "RESOURCE_EXHAUSTED"
KNOBS = (
    ("model.compute_dtype", "float32", "model.compute_dtype=bfloat16"),
    ("model.backbone.remat", "none", "model.backbone.remat=full"),
)
"""Field, the value that takes the most memory, the setting that takes less."""


@contextlib.contextmanager
def explained(config: TrainConfig, state: Any, constants: Any) -> Iterator[None]:
    """Turns jax's error of a device without memory into one line: what did not fit, the rest, the knobs.

    Args:
        config: the recipe.
        state: shapes of the training state.
        constants: shapes of the frozen arrays.

    Raises:
        UserError: in place of jax's error.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if MARK not in str(error):
            raise
        sizes = {
            "parameters": state["params"],
            "average": state["ema"],
            "optimizer": state["opt"],
            "text encoders and autoencoder": [constants["text"], constants["autoencoder"]],
            "frozen weights below LoRA": constants["base"],
        }
        held = ", ".join(f"{name} {_gib(arrays):.2f} GiB" for name, arrays in sizes.items() if arrays)
        raise UserError(
            f"out of memory on {jax.device_count()} x {jax.devices()[0].device_kind}: {_asked(str(error))}; "
            f"in all there are {held}, gradients as large as the parameters, and activations of "
            f"{config.batch_size // config.grad_accumulation} images at a time; try --set "
            f"{', --set '.join(_knobs(config))}"
        ) from error


def _asked(message: str) -> str:
    """Returns which buffer did not fit, from the compiler's or the allocator's text."""
    wanted = re.search(r"(?:allocat\w*|[Uu]sed)\D{0,40}?([\d.]+)\s*(GiB|MiB|KiB|[GMK]\b|bytes)?", message)
    asked = f"{wanted[1]} {wanted[2] or 'bytes'} did not fit" if wanted else "the step did not fit"
    largest = re.search(r"Size: ([\d.]+\w+)\s+(?:.*\n)*?.*op_name=\"([^\"]+)\"", message)
    return f"{asked}, the largest buffer is {largest[1]} of {largest[2]}" if largest else asked


def _gib(arrays: Any) -> float:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(arrays)) / 2**30


def _knobs(config: TrainConfig) -> list[str]:
    fields = flatten_json(to_dict(config))
    knobs = [setting for path, costly, setting in KNOBS if fields.get(path) == costly]
    if config.lora.is_on and config.lora.quantization == "none":
        knobs.append("lora.quantization=int8")
    parts = 2 * config.grad_accumulation
    if config.batch_size % parts == 0:
        knobs.append(f"grad_accumulation={parts}")
    if config.batch_size > 1:
        knobs.append(f"batch_size={config.batch_size // 2}")
    return knobs or ["model.backbone.hidden_width=..., a smaller model"]
