"""How much of a device a step uses: its matrix operations against the chip's peak, and its memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass

import jax
from i1_model.ops.chips import GIB, peak_flops


@dataclass(frozen=True)
class Utilisation:
    """Model FLOP utilisation: matrix operations per second of a step, relative to the devices' peak.

    Attributes:
        step_flops: matrix operations of one step on all devices, without those that are recomputed.
        device_flops: bfloat16 operations per second that all devices can do.
    """

    step_flops: float
    device_flops: float

    def at(self, seconds: float) -> float:
        """Returns the utilisation of a step that took some seconds."""
        return self.step_flops / seconds / self.device_flops


def find_utilisation(count_step_flops: Callable[[], float]) -> Utilisation | None:
    """Returns the utilisation on this run's devices; `None` for devices whose peak is not known.

    Args:
        count_step_flops: returns the matrix operations of a step; called only for known devices.
    """
    peak = peak_flops(jax.devices()[0].device_kind)
    return None if peak is None else Utilisation(count_step_flops(), peak * jax.device_count())


def memory() -> dict[str, float]:
    """Returns the peak memory so far in GiB: `memory/device`, and `memory/host` of this process.

    `memory/device` is absent when the device does not report it.
    """
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"memory/host": largest / GIB * (1 if sys.platform == "darwin" else 1024)}
    stats = jax.local_devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        found["memory/device"] = stats["peak_bytes_in_use"] / GIB
    return found
