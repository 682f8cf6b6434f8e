"""Reports of compiled programs as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i1_model.ops.chips import GIB


def summary(report: Mapping[str, Any]) -> str:
    """Returns a report as a few lines of text."""
    memory = report["bytes_per_device"]
    verdict = "fits" if report["fits"] else "does not fit"
    lines = [
        f"{report['recipe']} on {report['topology']}, {report['machine']}: {verdict}",
        f"memory per device: {_gib(memory['peak'])} of {_gib(memory['limit'])} "
        f"(arguments {_gib(memory['arguments'])}, temporaries {_gib(memory['temporaries'])})",
    ]
    if report["estimated_seconds"] is None:
        lines.append(f"{report['message']}")
        lines.append("use more devices, model.backbone.remat=full, or a smaller batch_size")
        return "\n".join(lines)
    estimated = report["estimated"]
    kinds = ", ".join(f"{kind} {cycles:,}" for kind, cycles in estimated["cycles"].items())
    sent = ", ".join(f"{axis} {count / 1e6:,.0f} MB" for axis, count in estimated["collective_bytes"].items())
    lines += [
        f"estimated step: {1e3 * report['estimated_seconds']:.1f} ms, "
        f"{100 * estimated['share_of_peak']:.1f} % of the peak, if traffic between devices is hidden",
        f"cycles: {kinds}",
        f"attention kernels: {estimated['kernels']}, taken for {1e3 * estimated['kernel_seconds']:.1f} ms; "
        f"moves without an estimate, not counted: {1e3 * estimated['unestimated_seconds']:.1f} ms of memory",
        f"traffic per device: {sent or 'none'}; {1e3 * estimated['collective_seconds']:.1f} ms at full speed",
        f"{report['flops']:.4g} floating-point operations, {report['bytes_accessed']:.4g} bytes accessed per "
        f"device, compiled in {report['compile_seconds']:.0f} s",
    ]
    return "\n".join(lines)


def _gib(count: float | None) -> str:
    return "unknown" if count is None else f"{count / GIB:.2f} GiB"
