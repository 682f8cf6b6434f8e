"""`i1 doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

from i1_hooks import machine
from i1_hooks.parser import CommandParser
from i1_hooks.registry import Registry, get_registry

LOW_DISK = 5 * 2**30
"""Bytes of free disk under which a folder is reported."""


def main(argv: list[str]) -> int:
    """Prints the state of the machine and what to do about each problem, as text or JSON."""
    parser = CommandParser(
        prog="i1 doctor", description="Check devices, versions, caches, disk, memory, extras and plugins."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    report = examine(get_registry())
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return 0


def examine(registry: Registry) -> dict[str, Any]:
    """Returns what `i1 doctor --json` prints: the facts, and under `problems` each problem with its fix."""
    facts: dict[str, Any] = {
        "environment": machine.environment(),  # before jax is imported, which sets some
        "platform": machine.platform_facts(),
        "versions": machine.versions(),
        "devices": machine.devices(),
        "memory": machine.host_memory(),
        "folders": machine.folders(),
        "extras": machine.extras(),
        "plugins": [
            f"{name} ({distribution} {version})" for name, (distribution, version) in registry.plugins.items()
        ],
        "failures": [str(failure) for failure in registry.failures],
    }
    return {**facts, "problems": find_problems(facts)}


def find_problems(facts: dict[str, Any]) -> list[dict[str, str]]:
    """Returns each problem in the facts as `{"problem": ..., "fix": ...}`."""
    found: list[tuple[str, str]] = []
    versions, devices = facts["versions"], facts["devices"]
    ours = {name: version for name, version in versions.items() if name.startswith("i1-") and version}
    if len(set(ours.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in ours.items())
        found.append((f"i1 packages of different versions: {listed}", "install one version of all of them"))
    if versions["jax"] is None:
        found.append(("jax is not installed: no training, no sampling", "pip install i1-sample"))
    if devices["error"]:
        found.append(
            (
                f"jax finds no device: {devices['error']}",
                "check the JAX_PLATFORMS variable and the installed jax extras",
            )
        )
    elif devices["found"] and all(device["platform"] == "cpu" for device in devices["found"]):
        for hardware, extra in devices["hardware"].items():
            found.append(
                (
                    f"{hardware} is present but jax uses the CPU",
                    f"pip install 'jax[{extra}]', JAX_PLATFORMS unset",
                )
            )
    for name, folder in facts["folders"].items():
        if not folder["writable"]:
            found.append(
                (f"{name} {folder['path']} is not writable", f"choose another folder{folder['set_by']}")
            )
        elif folder["free_bytes"] < LOW_DISK:
            free = machine.in_gib(folder["free_bytes"])
            found.append(
                (
                    f"{name} {folder['path']} has {free} free",
                    f"free some space or choose another folder{folder['set_by']}",
                )
            )
    for failure in facts["failures"]:
        found.append((failure, "update or uninstall that distribution; `i1 --debug plugins` shows more"))
    return [{"problem": problem, "fix": fix} for problem, fix in found]


def as_text(report: dict[str, Any]) -> str:
    """Returns a report as text for people."""
    lines = ["platform", *(f"  {name}: {value}" for name, value in report["platform"].items())]
    lines += ["versions", *(f"  {name}: {version or '-'}" for name, version in report["versions"].items())]
    lines += ["devices"]
    for device in report["devices"]["found"]:
        memory = (
            "" if device["memory_bytes"] is None else f", {machine.in_gib(device['memory_bytes'])} memory"
        )
        lines.append(f"  {device['id']}: {device['platform']} {device['kind']}{memory}")
    if not report["devices"]["found"]:
        lines.append(f"  none: {report['devices']['error'] or 'jax is not installed'}")
    lines += ["memory", *(f"  {name}: {machine.in_gib(value)}" for name, value in report["memory"].items())]
    lines += ["folders"]
    for name, folder in report["folders"].items():
        size = f"{machine.in_gib(folder['size_bytes'])} used, " if folder["exists"] else "not made yet, "
        lines.append(f"  {name}: {folder['path']} ({size}{machine.in_gib(folder['free_bytes'])} free)")
    lines += ["extras"]
    for extra in report["extras"]:
        state = "present" if not extra["missing"] else f"absent: {extra['install']}"
        lines.append(f"  {extra['distribution']}[{extra['extra']}]: {state}")
    if report["environment"]:
        lines += ["environment", *(f"  {name}={value}" for name, value in report["environment"].items())]
    lines += ["plugins", *(f"  {plugin}" for plugin in report["plugins"])]
    lines += ["problems" if report["problems"] else "no problems found"]
    for item in report["problems"]:
        lines += [f"  {item['problem']}", f"    fix: {item['fix']}"]
    return "\n".join(lines)
