"""The components of i1-server."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 serve`."""
    return [Component("serve", "i1_server.cli:main", "answer requests for pictures over HTTP")]
