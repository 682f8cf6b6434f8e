"""`i1 plugins`: every component with the distribution that offers it, and switches for plugins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypedDict

from i1_hooks.disabled import disable, enable
from i1_hooks.discovery import installed_plugins
from i1_hooks.errors import unknown
from i1_hooks.hookspecs import KINDS
from i1_hooks.parser import CommandParser
from i1_hooks.registry import Registry, get_registry

SWITCHES = ("disable", "enable")
EPILOG = """\
`i1 plugins disable NAME` switches off a plugin, or all plugins of a distribution; `i1 plugins enable NAME`
switches it on again. The variable I1_DISABLED_PLUGINS=NAME,NAME does the same for one command."""


class PluginRow(TypedDict):
    """A loaded plugin."""

    name: str
    distribution: str
    version: str


class ComponentRow(TypedDict):
    """A component, with the distribution that offers it."""

    kind: str
    name: str
    distribution: str
    version: str
    config: str
    summary: str


class FailureRow(TypedDict):
    """A plugin that could not be loaded."""

    name: str
    distribution: str
    reason: str


class DisabledRow(TypedDict):
    """An installed plugin that is switched off."""

    name: str
    distribution: str


class SkippedRow(TypedDict):
    """A name that several plugins claim."""

    kind: str
    name: str
    reason: str


class Listing(TypedDict):
    """What `i1 plugins --json` prints."""

    plugins: list[PluginRow]
    components: list[ComponentRow]
    failures: list[FailureRow]
    disabled: list[DisabledRow]
    skipped: list[SkippedRow]


def main(argv: list[str]) -> int:
    """Prints the components of all kinds or of one, as text or JSON; or switches a plugin off or on."""
    if argv and argv[0] in SWITCHES:
        return _switch(argv[0], argv[1:])
    parser = CommandParser(
        prog="i1 plugins",
        description="List every component with its distribution and version.",
        epilog=EPILOG,
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"only this kind: {', '.join(KINDS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if options.kind is not None and options.kind not in KINDS:
        raise unknown("kind of component", options.kind, [*KINDS, *SWITCHES])
    kinds = list(KINDS) if options.kind is None else [options.kind]
    listing = describe(get_registry(), kinds)
    print(json.dumps(listing, indent=2) if options.json else as_text(listing))
    return 0


def _switch(switch: str, argv: Sequence[str]) -> int:
    parser = CommandParser(
        prog=f"i1 plugins {switch}", description=f"{switch.capitalize()} an installed plugin."
    )
    parser.add_argument("name", metavar="NAME", help="name of the plugin, or of its distribution")
    name = parser.parse_args(argv).name
    if switch == "disable":
        disable(name, sorted({part for source in installed_plugins() for part in source[:2]}))
    else:
        enable(name)
    print(f"{switch}d {name}")
    return 0


def describe(registry: Registry, kinds: Sequence[str]) -> Listing:
    """Returns components of the given kinds, and what became of every plugin, as JSON-ready data."""
    return {
        "plugins": [
            {"name": name, "distribution": distribution, "version": version}
            for name, (distribution, version) in registry.plugins.items()
        ],
        "components": [
            {
                "kind": kind,
                "name": name,
                "distribution": found.distribution,
                "version": found.version,
                "config": found.component.config,
                "summary": found.component.summary,
            }
            for kind in kinds
            for name, found in sorted(registry.components(kind).items())
        ],
        "failures": [
            {"name": failure.plugin, "distribution": failure.distribution, "reason": failure.reason}
            for failure in registry.failures
        ],
        "disabled": [
            {"name": plugin, "distribution": distribution} for plugin, distribution in registry.disabled
        ],
        "skipped": [
            {"kind": skipped.kind, "name": skipped.name, "reason": str(skipped)}
            for skipped in registry.skipped
        ],
    }


def as_text(listing: Listing) -> str:
    """Returns a listing as aligned text, one block per kind that has components."""
    components = listing["components"]
    names = max((len(c["name"]) for c in components), default=0)
    origins = max((len(f"{c['distribution']} {c['version']}") for c in components), default=0)
    blocks: list[list[str]] = []
    for kind, meaning in KINDS.items():
        rows = [c for c in components if c["kind"] == kind]
        lines = [f"{kind}: {meaning}"] if rows else []
        for row in rows:
            origin = f"{row['distribution']} {row['version']}"
            lines.append(f"  {row['name']:<{names}}  {origin:<{origins}}  {row['summary']}")
        blocks.append(lines)
    if not components:
        blocks.append(["no component of this kind is installed"])
    blocks.append(
        [f"failed: {row['name']} of {row['distribution']}: {row['reason']}" for row in listing["failures"]]
    )
    blocks.append([f"skipped: {row['reason']}" for row in listing["skipped"]])
    blocks.append(
        [
            f"disabled: {row['name']} of {row['distribution']} (`i1 plugins enable {row['name']}`)"
            for row in listing["disabled"]
        ]
    )
    return "\n\n".join("\n".join(block) for block in blocks if block)
