"""Machines: how many devices a recipe expects, and how they are divided among the axes of its mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from i1_hooks import UserError
from i1_model.ops.sharding import AXES

AUTO = "auto"

Rules = tuple[tuple[str, tuple[str | None, ...]], ...]
"""(regular expression, mesh axis per dimension): the first that matches a released name in full counts."""

PARAMETER_RULES: Rules = (
    (r"x_embedder/proj/kernel", (None, None, None, "fsdp")),
    (r".*(w3|fc2)/kernel", ("fsdp", "tensor")),
    (r".*(w12|fc1|proj|proj_image|proj_text)/kernel", ("tensor", "fsdp")),
    (r".*kernel", ("fsdp", "tensor")),
    (r".*(pos_embed|learnable_null_caption.*)", (None, None, "fsdp")),
    (r".*", ()),
)
"""Matrices are cut over `fsdp` and `tensor`; biases and norms, a thousandth of all, are on every device.

Those of the feed-forward part are cut along their inner width: a 32nd of it is a multiple of 8, as TPUs store
rows, and a 32nd of 2016 is not.
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A mesh with a name.

    Attributes:
        name: what `machine` of a recipe chooses.
        data: groups of devices that hold a copy of the state each; the batch is divided among them.
        fsdp: devices of a group: parameters, moments, average and batch are divided among them.
        context: parts that every sequence of tokens is cut into.
        tensor: parts that heads and inner features are cut into.
        settings: `path=value` settings of the recipe that this machine needs, such as
            `model.backbone.remat=full`; they may change how a step is computed, not what.
    """

    name: str
    data: int = 1
    fsdp: int = 1
    context: int = 1
    tensor: int = 1
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for axis in AXES:
            if getattr(self, axis) < 1:
                raise UserError(
                    f"machine {self.name!r}: {axis} must be at least 1, got {getattr(self, axis)}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Devices along each of `AXES`."""
        return tuple(getattr(self, axis) for axis in AXES)

    @property
    def num_devices(self) -> int:
        """Devices in all."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        used = [f"{axis} {size}" for axis, size in zip(AXES, self.shape, strict=True) if size > 1]
        return f"{self.name} ({' x '.join(used) or 'one device'})"


CPU = Machine(name="cpu")
GPU_1 = Machine(name="gpu-1")
GPU_8 = Machine(name="gpu-8", fsdp=8)
KNOWN = (CPU, GPU_1, GPU_8)
"""What every recipe names unless it says otherwise."""


def choose_machine(machines: Sequence[Machine], name: str, num_devices: int, kind: str) -> Machine:
    """Returns the machine of a recipe that a name chooses.

    Args:
        machines: those of the recipe.
        name: one of them, or `"auto"`: the one with this number of devices whose name begins with the kind of
            device; where there is none, all devices on the axis `data`.
        num_devices: devices there are.
        kind: `"cpu"`, `"gpu"`, or the generation of a TPU such as `"v5p"`.

    Raises:
        UserError: for an unknown name, or a machine of another number of devices.
    """
    if name == AUTO:
        fitting = [m for m in machines if m.num_devices == num_devices and m.name.startswith(kind)]
        return fitting[0] if fitting else Machine(name=f"{kind}-{num_devices}", data=num_devices)
    machine = next((machine for machine in machines if machine.name == name), None)
    if machine is None:
        from i1_hooks import unknown

        raise unknown("machine", name, [AUTO, *(machine.name for machine in machines)])
    if machine.num_devices != num_devices:
        sizes = ", ".join(f"{axis}={size}" for axis, size in zip(AXES, machine.shape, strict=True))
        raise UserError(
            f"machine {machine.name!r} has {machine.num_devices} devices ({sizes}) and there are "
            f"{num_devices}; choose another machine or change its mesh with --set machines"
        )
    return machine


def check_batch(machine: Machine, batch_size: int, grad_accumulation: int) -> None:
    """Makes sure that a batch can be cut over a machine.

    Raises:
        UserError: when it cannot.
    """
    shards = machine.data * machine.fsdp
    if (batch_size // grad_accumulation) % shards:
        parts = f" / grad_accumulation {grad_accumulation}" if grad_accumulation > 1 else ""
        raise UserError(
            f"batch_size {batch_size}{parts} does not divide among data x fsdp = {machine.data} x "
            f"{machine.fsdp} = {shards} of machine {machine.name!r}; use a multiple of "
            f"{shards * grad_accumulation}"
        )
