"""The machines that the recipes of i1 name."""

from __future__ import annotations

from i1_train.devices.machines import CPU, GPU_1, GPU_8, MachineMesh

NO_PRODUCTS_AGAIN = ("model.backbone.remat=dots",)
"""All but matrix products and attention is computed again, and not kept."""


def machines(size: str, resolution: int) -> tuple[MachineMesh, ...]:
    """Returns a mesh for every known machine.

    `fsdp` is 32 on TPUs, since 64 does not divide the width 2016 of i1-3B. At 1024 pixels the batch of 128
    feeds no more than 128 devices: of 256, two share the heads. The chips of a v6e have a third of the memory
    of a v5p: 64 of them do not hold all activations of i1-3B from 512 pixels on.
    """
    halves = 2 if resolution == 1024 else 1
    tight = size == "i1-3B" and resolution > 256
    return (
        MachineMesh(name="v5p-128", data=2, fsdp=32),
        MachineMesh(name="v6e-64", data=2, fsdp=32, settings=NO_PRODUCTS_AGAIN if tight else ()),
        MachineMesh(name="v6e-256", data=8 // halves, fsdp=32, tensor=halves),
        GPU_8,
        GPU_1,
        CPU,
    )
