"""The components of i1-plugin-trackio."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_loggers() -> list[Component]:
    """Offers metrics in Trackio."""
    return [Component("trackio", "i1_plugin_trackio.logger:Trackio", "metrics and pictures in Trackio")]
