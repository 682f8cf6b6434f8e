"""`i1 doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import json
from typing import TypedDict

from i1_hooks import machine
from i1_hooks.discovery import installed_plugins
from i1_hooks.import_cost import ImportCost, import_cost
from i1_hooks.parser import CommandParser
from i1_hooks.registry import Registry, get_registry

LOW_DISK = 5 * 2**30
"""Bytes of free disk under which a folder is reported."""


class Facts(TypedDict):
    """What is known of this machine and its plugins."""

    environment: dict[str, str]
    platform: dict[str, str]
    versions: dict[str, str | None]
    devices: machine.DevicesFacts
    memory: dict[str, int]
    folders: dict[str, machine.FolderFacts]
    extras: list[machine.ExtraFacts]
    plugins: list[str]
    failures: list[str]
    skipped: list[str]
    disabled: list[str]
    import_costs: list[ImportCost]


class Problem(TypedDict):
    """A problem, and what to do about it."""

    problem: str
    fix: str


class Report(Facts):
    """What `i1 doctor --json` prints: the facts, and each problem with its fix."""

    problems: list[Problem]


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


def examine(registry: Registry) -> Report:
    """Returns what `i1 doctor --json` prints."""
    facts: Facts = {
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
        "skipped": [str(skipped) for skipped in registry.skipped],
        "disabled": [f"{plugin} of {distribution}" for plugin, distribution in registry.disabled],
        "import_costs": import_costs(registry),
    }
    return {**facts, "problems": find_problems(facts)}


def import_costs(registry: Registry) -> list[ImportCost]:
    """Returns what registering each installed plugin costs."""
    installed = {source[:2] for source in installed_plugins()}
    return [
        cost
        for name, (distribution, _) in registry.plugins.items()
        if (name, distribution) in installed and (cost := import_cost(name, distribution)) is not None
    ]


def find_problems(facts: Facts) -> list[Problem]:
    """Returns each problem in the facts, with its fix."""
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
    for skipped in facts["skipped"]:
        claims, _, fix = skipped.partition(": uninstall")
        found.append((claims, f"uninstall{fix}"))
    for cost in facts["import_costs"]:
        if cost["heavy"]:
            plugin = f"plugin {cost['plugin']!r} of {cost['distribution']}"
            found.append(
                (
                    f"{plugin} imports {', '.join(cost['heavy'])} when it is registered, for which every i1 "
                    f"command waits ({cost['seconds']:.1f} s)",
                    "its author should import them in the modules of its components only; "
                    f"until then `i1 plugins disable {cost['plugin']}`",
                )
            )
    return [{"problem": problem, "fix": fix} for problem, fix in found]


def as_text(report: Report) -> str:
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
    lines += [f"  disabled: {plugin}" for plugin in report["disabled"]]
    lines += ["problems" if report["problems"] else "no problems found"]
    for item in report["problems"]:
        lines += [f"  {item['problem']}", f"    fix: {item['fix']}"]
    return "\n".join(lines)
