"""Lifecycle hooks: telling plugins about a run, without letting them end it."""

from __future__ import annotations

import sys

from i1_hooks import get_registry


def notify(hook: str, **arguments: object) -> None:
    """Calls a lifecycle hook of every plugin.

    A plugin that raises is named in a warning line; the run goes on.
    """
    manager = get_registry().manager
    plugins = [caller.plugin for caller in getattr(manager.hook, hook).get_hookimpls()]
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        try:
            manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)
        except (
            Exception
        ) as error:  # plugin code may fail in any way, and training is worth more than its callback
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(
                f"i1: warning: plugin {manager.get_name(plugin)!r} failed in {hook}: {reason}",
                file=sys.stderr,
            )
