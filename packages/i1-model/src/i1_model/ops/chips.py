"""Accelerator chips: the numbers that their makers publish."""

from __future__ import annotations

from dataclasses import dataclass

from i1_hooks import unknown

GIB = 2**30

PEAK_FLOPS = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "TPU7x": 2307e12,
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA L4": 121e12,
}
"""Dense bfloat16 operations per second from the data sheets, by the prefix of the device kind in JAX."""


def peak_flops(device_kind: str) -> float | None:
    """Returns the peak of a chip, None for a chip that is not in the table."""
    fitting = [name for name in PEAK_FLOPS if device_kind.startswith(name)]
    return PEAK_FLOPS[max(fitting, key=len)] if fitting else None


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chip that programs can be compiled for ahead of time; JAX sees it as one device.

    Attributes:
        name: its generation, with which the names of topologies begin.
        memory: bytes of its high-bandwidth memory.
        bandwidth: bytes per second of reading and writing that memory.
        clock: cycles per second.
        links: bytes per second of sending and receiving over the links to other chips, together.
        lanes: the dimensions of a matrix product are padded to a multiple of this.
        vmem_kib: KiB of vector memory that one kernel or fusion may use.
        attention_block: longest block of queries or keys with which the splash kernel fits into that memory.
    """

    name: str
    memory: int
    bandwidth: float
    clock: float
    links: float
    lanes: int
    vmem_kib: int
    attention_block: int

    @property
    def peak(self) -> float:
        """Floating-point operations per second of bfloat16 matrix products."""
        return PEAK_FLOPS[f"TPU {self.name}"]

    @property
    def compiler_options(self) -> dict[str, str]:
        """The compiler options with which the training step is fast."""
        return {"xla_tpu_scoped_vmem_limit_kib": str(self.vmem_kib)}


CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            name="v5p",
            memory=95 * GIB,
            bandwidth=2765e9,
            clock=1.75e9,
            links=600e9,
            lanes=128,
            vmem_kib=65536,
            attention_block=2176,
        ),
        Chip(
            name="v6e",
            memory=32 * GIB,
            bandwidth=1640e9,
            clock=1.75e9,
            links=448e9,
            lanes=256,
            vmem_kib=65536,
            attention_block=1536,
        ),
    )
}
"""Chips by name."""


def find_chip(name: str) -> Chip:
    """Returns a chip by name.

    Raises:
        UserError: for an unknown name.
    """
    if name not in CHIPS:
        raise unknown("chip", name, CHIPS)
    return CHIPS[name]


def chip_name(device_kind: str) -> str:
    """Returns the generation of a TPU, such as `"v5p"`, from its device kind in JAX."""
    kind = device_kind.lower().removeprefix("tpu ")
    return {"v5": "v5p", "v5 lite": "v5e", "v6 lite": "v6e"}.get(kind, kind.replace(" lite", "e"))
