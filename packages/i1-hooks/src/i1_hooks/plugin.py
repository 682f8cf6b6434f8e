"""The components of i1-hooks: the commands about plugins and the machine."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 plugins` and `i1 doctor`."""
    return [
        Component(
            "plugins", "i1_hooks.listing:main", "list every component with its distribution and version"
        ),
        Component("doctor", "i1_hooks.doctor:main", "check devices, versions, caches, disk and extras"),
    ]
