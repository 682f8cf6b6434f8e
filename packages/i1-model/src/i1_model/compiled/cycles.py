"""The compiler's own estimate of a program's time, by kind of work."""

from __future__ import annotations

from typing import Literal

from i1_model.compiled.hlo import Instruction, Module

Kind = Literal["matrix", "copy", "collective", "other"]
KINDS: tuple[Kind, ...] = ("matrix", "copy", "collective", "other")

_PRODUCTS = {"convolution", "dot"}
_COLLECTIVES = {
    "all-gather",
    "all-reduce",
    "all-reduce-scatter",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
}
_MOVES = {
    "bitcast",
    "bitcast-convert",
    "broadcast",
    "concatenate",
    "constant",
    "copy",
    "dynamic-slice",
    "dynamic-update-slice",
    "get-tuple-element",
    "pad",
    "parameter",
    "reshape",
    "slice",
    "transpose",
    "tuple",
}
_NOTHING = {"bitcast", "constant", "get-tuple-element", "parameter", "tuple"}


def estimated_cycles(module: Module) -> dict[Kind, int]:
    """Returns the estimated cycles of a program by kind of work; loops count as often as they run.

    Pallas kernels and most collectives have no estimate and do not count.
    """
    totals: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    for instruction, times in module.running():
        if instruction.cycles:
            totals[kind_of(module, instruction)] += times * instruction.cycles
    return totals


def unestimated_bytes(module: Module) -> float:
    """Returns the bytes read and written by moves without an estimate, such as reshapes."""
    return sum(
        times * (instruction.num_bytes + instruction.num_read)
        for instruction, times in module.running()
        if not instruction.cycles and instruction.opcode in _MOVES - _NOTHING
    )


def kind_of(module: Module, instruction: Instruction) -> Kind:
    """Returns the kind of an instruction; a fusion has the kind of its heaviest instruction."""
    parts = {instruction.opcode, *module.inside(instruction)} - {"fusion", "call"}
    plain = {part.removesuffix("-start").removesuffix("-done") for part in parts}
    if plain & _PRODUCTS:
        return "matrix"
    if plain & _COLLECTIVES:
        return "collective"
    return "copy" if plain <= _MOVES else "other"
