"""The machines of the recipes of i1."""

from __future__ import annotations

from i1_train.devices.machines import CPU, GPU_1, GPU_8, MachineMesh

RECOMPUTE_ALL_BUT_DOTS = ("model.backbone.remat=dots",)
"""Recompute everything but matrix products and attention in the backward pass."""


def machines(size: str, resolution: int) -> tuple[MachineMesh, ...]:
    """Returns the mesh of every known machine.

    `fsdp` is 32 on TPUs, because 64 does not divide the width 2016 of i1-3B. At 1024 pixels the batch of 128
    is enough for 128 devices, so on 256 devices two share the heads. A v6e chip has a third of the memory of
    a v5p: from 512 pixels on, 64 of them do not hold all activations of i1-3B.
    """
    halves = 2 if resolution == 1024 else 1
    tight = size == "i1-3B" and resolution > 256
    return (
        MachineMesh(name="v5p-128", data=2, fsdp=32),
        MachineMesh(name="v6e-64", data=2, fsdp=32, settings=RECOMPUTE_ALL_BUT_DOTS if tight else ()),
        MachineMesh(name="v6e-256", data=8 // halves, fsdp=32, tensor=halves),
        GPU_8,
        GPU_1,
        CPU,
    )
