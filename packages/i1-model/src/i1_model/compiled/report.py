"""Compiles a program ahead of time and reports its memory, operations and estimated time."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import jax

from i1_model.compiled.cycles import KINDS, estimated_cycles, unestimated_bytes
from i1_model.compiled.hlo import parse_module
from i1_model.compiled.traffic import traffic
from i1_model.ops.chips import Chip
from i1_model.ops.flops import Work, count_work

KERNEL_SHARE = 0.5
"""Share of the peak at which Pallas kernels are assumed to run on padded shapes; they have no estimate."""
_TOO_LARGE = re.compile(r"Used ([0-9.]+)([KMGT]?) of ([0-9.]+)([KMGT]?) hbm")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def compile_report(traced: Any, chip: Chip, mesh: Mapping[str, int]) -> dict[str, Any]:
    """Compiles a traced program and returns its report, which can be written as JSON.

    `docs/performance.md` describes the keys. For a program that does not fit, only the memory is known.

    Args:
        traced: the result of `jax.jit(...).trace(...)`, with the compiler options in `jax.jit`.
        chip: the chip that it is compiled for.
        mesh: sizes of the mesh axes, in the order that numbers the devices.
    """
    work = count_work(traced.jaxpr.jaxpr)
    lowered = traced.lower(lowering_platforms=("tpu",))
    begin, begin_cpu = time.perf_counter(), time.process_time()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _too_large(error, chip, work)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - begin_cpu
    memory = compiled.memory_analysis()
    sizes = {
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "peak": memory.argument_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.generated_code_size_in_bytes,
        "limit": chip.memory,
    }
    return {
        "fits": sizes["peak"] <= chip.memory,
        "bytes_per_device": sizes,
        "compile_seconds": seconds,
        "compile_cpu_seconds": cpu_seconds,
        "flops": work.flops,
        **time_report(compiled, work, chip, mesh),
    }


def time_report(compiled: Any, work: Work, chip: Chip, mesh: Mapping[str, int]) -> dict[str, Any]:
    """Returns the estimated time of a compiled program and its parts."""
    num_devices = 1
    for size in mesh.values():
        num_devices *= size
    module = parse_module(compiled.as_text())
    cycles = estimated_cycles(module)
    padded = sum(kernel.flops(chip.lanes) for kernel in work.kernels)
    kernel_seconds = padded / (KERNEL_SHARE * chip.peak)
    seconds = sum(cycles.values()) / chip.clock + kernel_seconds
    sent = traffic(module, mesh)
    return {
        "bytes_accessed": sum(
            times * (instruction.num_bytes + instruction.num_read)
            for instruction, times in module.running()
            if instruction.opcode not in _FREE
        ),
        "estimated_seconds": seconds,
        "estimated": {
            "clock": chip.clock,
            "cycles": {kind: cycles[kind] for kind in KINDS},
            "kernels": len(work.kernels),
            "loops_counted_once": sum(instruction.trips is None for instruction, _ in module.running()),
            "kernel_seconds": kernel_seconds,
            "unestimated_seconds": unestimated_bytes(module) / chip.bandwidth,
            "share_of_peak": work.flops / num_devices / seconds / chip.peak,
            "collective_bytes": sent,
            "collective_seconds": sum(sent.values()) / chip.links,
        },
    }


_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call", "conditional"}


def _too_large(error: Exception, chip: Chip, work: Work) -> dict[str, Any]:
    """Returns the report of a program that does not fit into the memory of the chip."""
    match = _TOO_LARGE.search(str(error))
    peak = round(float(match[1]) * _UNITS[match[2]]) if match else None
    return {
        "fits": False,
        "bytes_per_device": {"arguments": None, "temporaries": None, "peak": peak, "limit": chip.memory},
        "flops": work.flops,
        "bytes_accessed": None,
        "estimated_seconds": None,
        "compile_seconds": None,
        "message": str(error).splitlines()[0],
    }
