"""What is known of accelerator chips, as their makers publish it."""

from __future__ import annotations

from dataclasses import dataclass

from i1_hooks import unknown

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One accelerator chip, which JAX sees as one device.

    Attributes:
        memory: bytes of its high-bandwidth memory.
        peak: matrix products, floating-point operations per second in bfloat16.
        clock: cycles per second; the peak is `peak / clock` operations per cycle.
        links: bytes per second that it sends and receives over its links to other chips, together.
        lanes: a matrix product's dimensions fill up to a multiple of this.
        compiler_options: options of the compiler that make the training step fast.
    """

    memory: int
    peak: float
    clock: float
    links: float
    lanes: int
    compiler_options: tuple[tuple[str, str], ...]


VMEM = (("xla_tpu_scoped_vmem_limit_kib", "65536"),)
CHIPS = {
    "v5p": Chip(memory=95 * GIB, peak=459e12, clock=1.75e9, links=600e9, lanes=128, compiler_options=VMEM),
    "v6e": Chip(memory=32 * GIB, peak=918e12, clock=1.75e9, links=448e9, lanes=256, compiler_options=VMEM),
}
"""Chips by the name that topologies begin with."""


def find_chip(kind: str) -> Chip:
    """Returns a chip by name.

    Raises:
        UserError: for an unknown one.
    """
    if kind not in CHIPS:
        raise unknown("chip", kind, CHIPS)
    return CHIPS[kind]
