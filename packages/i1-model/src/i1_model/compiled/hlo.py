"""Parses the text of a compiled program into instructions, with the number of times that each runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_COMPUTATION = re.compile(r"(ENTRY )?%([\w.-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%([\w.-]+) = (.*?) ([a-z][a-z0-9-]*)\(")
_NAME = re.compile(r"%([\w.-]+)")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CONDITION = re.compile(r"condition=%([\w.-]+)")
_LIMIT = re.compile(r"= [su]\d+\[\]\S* constant\((\d+)\)")
_CALLED = re.compile(r"(?:calls|body|to_apply|true_computation|false_computation)=%([\w.-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_GROUPS = re.compile(r"(?:replica_groups|source_target_pairs)=(.*?), \w+=")
_ARRAY = re.compile(r"([a-z]+[0-9]*)(?:e\w+)?\[([0-9,]*)\]")
_SCATTER = "all-reduce-scatter"
"""Prefix of the names of fusions that keep a shard of a sum over devices, like a reduce-scatter."""
_WIDTHS = {"pred": 1, "s4": 0.5, "u4": 0.5}
_RUNS = ("while", "call", "conditional")


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction.

    Attributes:
        opcode: its operation, such as `fusion`.
        cycles: the estimate of one run by the compiler; 0 without one.
        num_bytes: bytes of its result, the arrays of a tuple together.
        num_read: bytes of its operands.
        called: names of the computations that it calls.
        trips: number of iterations of a loop, else 1; None for a loop of unknown length.
        groups: the text with the devices that communicate; empty for most instructions.
    """

    opcode: str
    cycles: int
    num_bytes: float
    num_read: float
    called: tuple[str, ...]
    trips: int | None
    groups: str


@dataclass(frozen=True)
class Module:
    """A compiled program.

    Attributes:
        entry: name of the computation that runs first.
        computations: the instructions of each computation.
    """

    entry: str
    computations: dict[str, list[Instruction]] = field(default_factory=dict)

    def running(self, name: str | None = None, times: int = 1) -> Iterator[tuple[Instruction, int]]:
        """Yields every scheduled instruction, without the inside of fusions, and the times that it runs."""
        for instruction in self.computations[self.entry if name is None else name]:
            yield instruction, times
            if instruction.opcode in _RUNS:
                for called in instruction.called:
                    yield from self.running(called, times * (instruction.trips or 1))

    def inside(self, instruction: Instruction) -> set[str]:
        """Returns the opcodes of everything that an instruction calls, directly or indirectly."""
        found: set[str] = set()
        for name in instruction.called:
            for part in self.computations.get(name, ()):
                found.add(part.opcode)
                found |= self.inside(part)
        return found

    def collectives(self, name: str | None = None, times: int = 1) -> Iterator[tuple[Instruction, int]]:
        """Yields the instructions that communicate with other devices, also inside fusions and calls."""
        for instruction in self.computations.get(self.entry if name is None else name, ()):
            if instruction.groups:
                yield instruction, times
            for called in instruction.called:
                yield from self.collectives(called, times * (instruction.trips or 1))


def parse_module(text: str) -> Module:
    """Parses the text of `compiled.as_text()`.

    TPU programs do not state the number of iterations of a loop. In the loops of JAX, which count from 0 by
    1, it is the only whole number in the condition.
    """
    entry, computation = "", ""
    computations: dict[str, list[Instruction]] = {}
    sizes: dict[str, float] = {}
    limits: dict[str, list[int]] = {}
    for line in _whole_lines(text):
        if match := _COMPUTATION.match(line):
            computation, sizes = match[2], {}
            computations[computation] = []
            entry = computation if match[1] else entry
        elif match := _INSTRUCTION.match(line):
            name, result, opcode = match.groups()
            if opcode == "all-reduce" and computation.startswith(_SCATTER):
                opcode = _SCATTER
            operands = _NAME.findall(line[match.end() : line.find(")", match.end())])
            sizes[name] = _num_bytes(result)
            read = sum(sizes.get(operand, 0.0) for operand in operands)
            if limit := _LIMIT.search(line):
                limits.setdefault(computation, []).append(int(limit[1]))
            trips = _trips(line, limits) if opcode == "while" else 1
            computations[computation].append(_instruction(line, opcode, sizes[name], read, trips))
    return Module(entry, computations)


def _whole_lines(text: str) -> Iterator[str]:
    """Yields the lines of a program, and joins lines that the description of a kernel breaks."""
    whole = ""
    for line in text.splitlines():
        if line.strip() in ("", "}") or _COMPUTATION.match(line) or _INSTRUCTION.match(line):
            yield whole
            whole = line
        else:
            whole += line
    yield whole


def _trips(line: str, limits: dict[str, list[int]]) -> int | None:
    if known := _TRIPS.search(line):
        return int(known[1])
    condition = _CONDITION.search(line)
    found = limits.get(condition[1], []) if condition else []
    return found[0] if len(found) == 1 else None


def _instruction(line: str, opcode: str, num_bytes: float, num_read: float, trips: int | None) -> Instruction:
    cycles, groups = _CYCLES.search(line), _GROUPS.search(line)
    called = _CALLED.findall(line)
    if branches := _BRANCHES.search(line):
        called += _NAME.findall(branches[1])
    return Instruction(
        opcode=opcode,
        cycles=int(cycles[1]) if cycles else 0,
        num_bytes=num_bytes,
        num_read=num_read,
        called=tuple(called),
        trips=trips,
        groups=groups[1] if groups else "",
    )


def _num_bytes(shape: str) -> float:
    total = 0.0
    for dtype, sizes in _ARRAY.findall(shape):
        width = _WIDTHS.get(dtype) or int(re.sub(r"\D", "", dtype) or 32) / 8
        total += width * math.prod(int(size) for size in sizes.split(",") if size)
    return total
