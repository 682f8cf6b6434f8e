"""Lifecycle hooks, which tell plugins about a run and do not let them end it."""

from __future__ import annotations

import sys

from i1_hooks import get_registry
from i1_hooks.text import one_line


def notify(hook: str, **arguments: object) -> None:
    """Calls a lifecycle hook of every plugin.

    A plugin that raises is named in a warning, and the run continues.
    """
    manager = get_registry().manager
    plugins = [caller.plugin for caller in getattr(manager.hook, hook).get_hookimpls()]
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        try:
            manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)
        except Exception as error:  # a plugin may fail in any way; training matters more than its callback
            reason = one_line(f"{type(error).__name__}: {error}")
            print(
                f"i1: warning: plugin {manager.get_name(plugin)!r} failed in {hook}: {reason}",
                file=sys.stderr,
            )
