"""Which installed plugins are switched off: a file in the user's configuration folder, and a variable."""

from __future__ import annotations

import json
import os
from pathlib import Path

from i1_hooks.errors import UserError, unknown
from i1_hooks.files import read_json, write_atomically

VARIABLE = "I1_DISABLED_PLUGINS"
"""The environment variable that disables plugins for one command: names separated by commas."""

UNTOUCHABLE = ("hooks", "i1-hooks")
"""The plugin that holds `i1 plugins`, and its distribution."""


def config_file() -> Path:
    """Returns the file that lists disabled plugins: `i1/plugins.json` in the user's configuration folder.

    The folder is `$XDG_CONFIG_HOME` when that is an absolute path, else `~/.config`.
    """
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (folder if folder.is_absolute() else Path("~/.config").expanduser()) / "i1" / "plugins.json"


def disabled_in_file() -> list[str]:
    """Returns the names of plugins or distributions that the file disables.

    Raises:
        UserError: naming the file, when it cannot be read.
    """
    try:
        file = config_file()
    except RuntimeError:  # no home folder
        return []
    if not os.path.isfile(file):  # noqa: PTH113 (false also in a folder that this user may not read)
        return []
    content = read_json(file)
    names = content.get("disabled") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f'{file}: expected {{"disabled": [names]}}; mend it, or remove it to enable all plugins'
        )
    return names


def disabled_in_environment() -> list[str]:
    """Returns the names of plugins or distributions that the variable disables."""
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def disabled_plugins() -> list[str]:
    """Returns the names of all plugins or distributions that are disabled.

    Raises:
        UserError: for the plugin that holds `i1 plugins`, or a file that cannot be read.
    """
    names = [*disabled_in_file(), *disabled_in_environment()]
    for name in names:
        check_can_be_disabled(name)
    return names


def check_can_be_disabled(name: str) -> None:
    """Raises UserError for the plugin that holds `i1 plugins`."""
    if name in UNTOUCHABLE:
        raise UserError(f"plugin {name!r} cannot be disabled: it holds `i1 plugins`")


def disable(name: str, installed: list[str]) -> None:
    """Disables a plugin, or all plugins of a distribution, until `enable`.

    Args:
        name: the name of either.
        installed: the names that exist.

    Raises:
        UserError: for a name that does not exist or cannot be disabled.
    """
    check_can_be_disabled(name)
    if name not in installed:
        raise unknown("plugin", name, installed)
    names = disabled_in_file()
    if name not in names:
        _write([*names, name])


def enable(name: str) -> None:
    """Enables what `disable` disabled.

    Raises:
        UserError: for a name that the file does not disable.
    """
    names = disabled_in_file()
    if name not in names:
        if name in disabled_in_environment():
            raise UserError(f"plugin {name!r} is disabled by the variable {VARIABLE}: take it out there")
        raise unknown("disabled plugin", name, names)
    _write([other for other in names if other != name])
    if name in disabled_in_environment():
        raise UserError(f"plugin {name!r} is still disabled by the variable {VARIABLE}: take it out there")


def _write(names: list[str]) -> None:
    try:
        file = config_file()
        file.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot write the list of disabled plugins: {error}; use {VARIABLE}") from error
    write_atomically(file, json.dumps({"disabled": names}, indent=2) + "\n")
