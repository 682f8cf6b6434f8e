"""Where plugins come from: entry points of installed distributions, and single files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ENTRY_POINT_GROUP = "i1"

OWN = ("hooks", "model", "data", "scenes", "train", "sample", "server", "bench", "study")
"""The packages of i1 itself; a distribution is called `i1-` and one of these."""


class PluginSource(NamedTuple):
    """A plugin before it is loaded: its name, its distribution with the version, and how to load it."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]


def is_own(distribution: str) -> bool:
    """Returns whether a distribution is a package of i1 itself."""
    return distribution.startswith("i1-") and distribution.removeprefix("i1-") in OWN


def installed_plugins() -> list[PluginSource]:
    """Returns the plugins in the entry-point group `i1` of all installed distributions, those of i1 first."""
    found = []
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution = entry_point.dist
        name, version = (distribution.name, distribution.version) if distribution else ("unknown", "unknown")
        found.append(PluginSource(entry_point.name, name, version, entry_point.load))
    return sorted(found, key=lambda source: (not is_own(source.distribution), source[:3]))


def file_plugin(file: str | os.PathLike[str]) -> PluginSource:
    """Returns the plugin in one unpackaged file.

    The file is imported as the module `i1_plugin_<stem>`, so that its records can say
    `Component(name, f"{__name__}:MyConfig", summary)`. Its version is a digest of its text.
    """
    path = Path(file).resolve()
    version = "unknown"
    if path.is_file():
        version = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    module_name = "i1_plugin_" + re.sub(r"\W", "_", path.stem)
    return PluginSource(module_name, path.name, version, lambda: _import_file(path, module_name))


def _import_file(path: Path, module_name: str) -> object:
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{str(path)!r} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
