"""The platform that programs are built for: this machine's, or that of ahead-of-time compilation."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Literal

import jax

from i1_model.ops.chips import CHIPS, chip_name

_target: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("i1_target", default=None)


@contextlib.contextmanager
def target_platform(platform: Literal["cpu", "gpu", "tpu"], chip: str = "") -> Iterator[None]:
    """Builds programs for another platform than this machine's, for ahead-of-time compilation.

    Args:
        platform: the platform that the program will run on.
        chip: the generation of a TPU, such as `"v5p"`; empty for other platforms.
    """
    token = _target.set((platform, chip))
    try:
        yield
    finally:
        _target.reset(token)


def active_platform() -> str:
    """Returns the platform that programs are built for: that of `target_platform`, else this machine's."""
    target = _target.get()
    return jax.default_backend() if target is None else target[0]


def active_chip() -> str:
    """Returns the generation of TPU that programs are built for; empty on other platforms."""
    target = _target.get()
    if target is not None:
        return target[1]
    return chip_name(jax.devices()[0].device_kind) if jax.default_backend() == "tpu" else ""


def compiler_options() -> dict[str, str] | None:
    """Returns the compiler options of `jax.jit` for large programs; None for chips without known ones."""
    chip = CHIPS.get(active_chip())
    return None if chip is None else chip.compiler_options
