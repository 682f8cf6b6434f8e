"""Machines: how many devices a recipe expects, and the mesh they form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from i1_hooks import UserError, unknown
from i1_model.ops.sharding import AXES

from i1_train.checks import check_regular_expressions, require_at_least

AUTO = "auto"

Rules = tuple[tuple[str, tuple[str | None, ...]], ...]
"""(regular expression, mesh axis per dimension): the first that matches a whole released name applies."""

PARAMETER_RULES: Rules = (
    (r"x_embedder/proj/kernel", (None, None, None, "fsdp")),
    (r".*(w3|fc2)/kernel", ("fsdp", "tensor")),
    (r".*(w12|fc1|proj|proj_image|proj_text)/kernel", ("tensor", "fsdp")),
    (r".*kernel", ("fsdp", "tensor")),
    (r".*(pos_embed|learnable_null_caption.*)", (None, None, "fsdp")),
    (r".*", ()),
)
"""Matrices are sharded over `fsdp` and `tensor`; biases and norms, a thousandth of all, are replicated.

Feed-forward matrices are sharded over `fsdp` along their inner width: a 32nd of it is a multiple of 8, the
tile in which TPUs store rows, and a 32nd of 2016 is not.
"""


@dataclass(frozen=True, kw_only=True)
class MachineMesh:
    """The mesh that the devices of one kind of machine form.

    Attributes:
        name: what `hardware.machine` chooses it by.
        data: number of device groups that each hold a copy of the state; the batch is sharded over them.
        fsdp: devices of a group; parameters, moments, average and batch are sharded over them.
        context: number of parts that every sequence of tokens is cut into.
        tensor: number of parts that heads and inner features are cut into.
        settings: `path=value` settings of the recipe that this machine needs, such as
            `model.backbone.remat=full`; they may change how a step is computed, but not what it computes.
    """

    name: str
    data: int = 1
    fsdp: int = 1
    context: int = 1
    tensor: int = 1
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_at_least(1, self, AXES, f"machine {self.name!r}: ")

    @property
    def shape(self) -> tuple[int, ...]:
        """Devices along each of `AXES`."""
        return tuple(getattr(self, axis) for axis in AXES)

    @property
    def num_devices(self) -> int:
        """Total number of devices."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        used = [f"{axis} {size}" for axis, size in zip(AXES, self.shape, strict=True) if size > 1]
        return f"{self.name} ({' x '.join(used) or 'one device'})"


CPU = MachineMesh(name="cpu")
GPU_1 = MachineMesh(name="gpu-1")
GPU_8 = MachineMesh(name="gpu-8", fsdp=8)
KNOWN = (CPU, GPU_1, GPU_8)
"""The machines of a recipe that names none."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The devices a run uses, and how arrays are sharded over them.

    Attributes:
        machine: name of one of `machines`, or `"auto"` for the one that fits the devices found.
        machines: the meshes to choose from.
        sharding: (regular expression, mesh axis or null per dimension) pairs; the first that matches a whole
            released name says how that parameter, its moments and its average are sharded.
    """

    machine: str = AUTO
    machines: tuple[MachineMesh, ...] = KNOWN
    sharding: Rules = PARAMETER_RULES

    def __post_init__(self) -> None:
        check_regular_expressions(pattern for pattern, _ in self.sharding)


def choose_machine(machines: Sequence[MachineMesh], name: str, num_devices: int, kind: str) -> MachineMesh:
    """Returns the mesh that a name chooses.

    Args:
        machines: the meshes of the recipe.
        name: the name of one of them, or `"auto"`: the one with this number of devices whose name begins with
            the kind of device; if there is none, all devices on the axis `data`.
        num_devices: number of devices found.
        kind: `"cpu"`, `"gpu"`, or the generation of a TPU such as `"v5p"`.

    Raises:
        UserError: for an unknown name, or a mesh of another number of devices.
    """
    if name == AUTO:
        fitting = [m for m in machines if m.num_devices == num_devices and m.name.startswith(kind)]
        return fitting[0] if fitting else MachineMesh(name=f"{kind}-{num_devices}", data=num_devices)
    machine = next((machine for machine in machines if machine.name == name), None)
    if machine is None:
        raise unknown("machine", name, [AUTO, *(machine.name for machine in machines)])
    if machine.num_devices != num_devices:
        sizes = ", ".join(f"{axis}={size}" for axis, size in zip(AXES, machine.shape, strict=True))
        raise UserError(
            f"machine {machine.name!r} has {machine.num_devices} devices ({sizes}) and there are "
            f"{num_devices}; choose another machine or change its mesh with --set hardware.machines"
        )
    return machine


def check_batch(machine: MachineMesh, batch_size: int, grad_accumulation: int) -> None:
    """Checks that a batch can be sharded over a mesh.

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
