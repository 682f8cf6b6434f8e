"""`i1 plugins`: every component with the distribution that offers it."""

from __future__ import annotations

import json
from typing import Any

from i1_hooks.errors import unknown
from i1_hooks.hookspecs import KINDS
from i1_hooks.parser import CommandParser
from i1_hooks.registry import Registry, get_registry


def main(argv: list[str]) -> int:
    """Prints the components of all kinds or of one, as text or JSON."""
    parser = CommandParser(
        prog="i1 plugins", description="List every component with its distribution and version."
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"only this kind: {', '.join(KINDS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if options.kind is not None and options.kind not in KINDS:
        raise unknown("kind of component", options.kind, KINDS)
    kinds = list(KINDS) if options.kind is None else [options.kind]
    listing = describe(get_registry(), kinds)
    print(json.dumps(listing, indent=2) if options.json else as_text(listing))
    return 0


def describe(registry: Registry, kinds: list[str]) -> dict[str, Any]:
    """Returns loaded plugins, components of the given kinds and failed plugins, as JSON-ready data."""
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
    }


def as_text(listing: dict[str, Any]) -> str:
    """Returns a listing as aligned text, one block per kind that has components."""
    components = listing["components"]
    names = max((len(c["name"]) for c in components), default=0)
    origins = max((len(f"{c['distribution']} {c['version']}") for c in components), default=0)
    lines: list[str] = []
    for kind, meaning in KINDS.items():
        rows = [c for c in components if c["kind"] == kind]
        if not rows:
            continue
        lines += ["", f"{kind}: {meaning}"] if lines else [f"{kind}: {meaning}"]
        for row in rows:
            origin = f"{row['distribution']} {row['version']}"
            lines.append(f"  {row['name']:<{names}}  {origin:<{origins}}  {row['summary']}")
    for failure in listing["failures"]:
        lines += ["", f"failed: {failure['name']} of {failure['distribution']}: {failure['reason']}"]
    return "\n".join(lines) if lines else "no component of this kind is installed"
