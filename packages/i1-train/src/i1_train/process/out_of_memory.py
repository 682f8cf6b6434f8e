"""A device that is out of memory: what fills it, and which settings take less."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import jax
from i1_hooks import UserError
from jaxtyping import PyTree

MARK = "RESOURCE_EXHAUSTED"


@contextlib.contextmanager
def explain_oom(arrays: Mapping[str, PyTree], num_images: int, settings: Sequence[str]) -> Iterator[None]:
    """Turns jax's error of a device without memory into one line that says what fills it and what to change.

    Args:
        arrays: what the run holds on its devices, by name: pytrees of arrays or their shapes.
        num_images: number of images whose activations are held at a time.
        settings: `path=value` settings that take less memory.

    Raises:
        UserError: in place of jax's error.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if MARK not in str(error):
            raise
        sizes = {name: _gib(held) for name, held in arrays.items()}
        held = ", ".join(f"{name} {size:.2f} GiB" for name, size in sizes.items() if size)
        raise UserError(
            f"out of memory on {jax.device_count()} x {jax.devices()[0].device_kind}: "
            f"{_requested(str(error))}; in all there are {held}, gradients as large as the parameters, and "
            f"activations of {num_images} images at a time; try --set {', --set '.join(settings)}"
        ) from error


def _requested(message: str) -> str:
    """Returns which buffer did not fit, from the text of the compiler or the allocator."""
    wanted = re.search(r"(?:allocat\w*|[Uu]sed)\D{0,40}?([\d.]+)\s*(GiB|MiB|KiB|[GMK]\b|bytes)?", message)
    request = f"{wanted[1]} {wanted[2] or 'bytes'} did not fit" if wanted else "the step did not fit"
    largest = re.search(r"Size: ([\d.]+\w+)\s+(?:.*\n)*?.*op_name=\"([^\"]+)\"", message)
    return f"{request}, the largest buffer is {largest[1]} of {largest[2]}" if largest else request


def _gib(arrays: PyTree) -> float:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(arrays)) / 2**30
