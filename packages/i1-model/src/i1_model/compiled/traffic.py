"""Bytes that a compiled program sends between devices, by axis of the mesh."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from i1_model.compiled.hlo import Instruction, Module

_LIST = re.compile(r"\{([0-9,]+)\}")
_IOTA = re.compile(r"\[([0-9,]+)\]<=\[([0-9,]+)\](?:T\(([0-9,]+)\))?")
_MESH = re.compile(r"mesh\[([^\]]*)\](.*)")
_NAMED = re.compile(r"'([^']+)'(?::\((\d+)\)(\d+))?")


def traffic(module: Module, mesh: Mapping[str, int]) -> dict[str, float]:
    """Returns the bytes that each device sends over each axis of the mesh in one run.

    A group that spans several axes counts under their names joined by `+`.

    Args:
        module: the program.
        mesh: sizes of the mesh axes, in the order that numbers the devices.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    for instruction, times in module.collectives():
        group = first_group(instruction.groups, mesh)
        if len(set(group)) > 1:
            totals[axes_of(group, mesh)] += times * sent_bytes(instruction, len(group))
    return dict(totals)


def sent_bytes(instruction: Instruction, size: int) -> float:
    """Returns the bytes that one device sends for one collective in a group of `size` devices.

    The result of an asynchronous start holds operand and result; both together count as the result.
    """
    others = (size - 1) / size
    match instruction.opcode.removesuffix("-start"):
        case "all-gather" | "all-reduce-scatter" | "all-to-all" | "ragged-all-to-all":
            return instruction.num_bytes * others
        case "reduce-scatter":
            return instruction.num_bytes * (size - 1)
        case "all-reduce":
            return 2 * instruction.num_bytes * others
        case "collective-permute":
            return instruction.num_bytes
    return 0.0


def first_group(text: str, mesh: Mapping[str, int]) -> tuple[int, ...]:
    """Returns the devices of the first group with several devices; without one, those of the first group.

    The groups of a permutation are pairs of sender and receiver; a device that sends to itself sends nothing.

    Args:
        text: `{{0,1},{2,3}}`, `[2,2]<=[4]`, or `mesh['axis_0'=2,'axis_1'=2] {'axis_1'}`.
        mesh: sizes of the mesh axes; an empty list of groups means one group of all devices.
    """
    if match := _MESH.match(text):
        names = dict(re.findall(r"'([^']+)'=(\d+)", match[1]))
        return _named_group({name: int(size) for name, size in names.items()}, match[2])
    if match := _IOTA.match(text):
        shape, dims = _numbers(match[1]), _numbers(match[2])
        devices = np.arange(math.prod(dims)).reshape(dims)
        order = _numbers(match[3]) if match[3] else range(len(dims))
        return tuple(devices.transpose(order).reshape(shape)[0].tolist())
    if listed := [tuple(_numbers(group)) for group in _LIST.findall(text)]:
        return next((group for group in listed if len(set(group)) > 1), listed[0])
    return tuple(range(math.prod(mesh.values())))


def _named_group(sizes: Mapping[str, int], text: str) -> tuple[int, ...]:
    devices = np.arange(math.prod(sizes.values())).reshape(tuple(sizes.values()))
    index: list[np.ndarray] = [np.zeros(1, int) for _ in sizes]
    names = list(sizes)
    for name, before, part in _NAMED.findall(text):
        if name in sizes:
            step = sizes[name] // (int(before) * int(part)) if part else 1
            index[names.index(name)] = np.arange(int(part) if part else sizes[name]) * step
    return tuple(devices[np.ix_(*index)].reshape(-1).tolist())


def axes_of(group: tuple[int, ...], mesh: Mapping[str, int]) -> str:
    """Returns the names of the axes along which the devices of a group differ, joined by `+`."""
    places = np.stack(np.unravel_index(np.asarray(group), tuple(mesh.values())))
    varying = [name for name, row in zip(mesh, places, strict=True) if len(set(row.tolist())) > 1]
    return "+".join(varying)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]
