"""Checks that every plugin can run in its own tests."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from i1_hooks.component import ComponentConfig
from i1_hooks.config import check_round_trip
from i1_hooks.discovery import ENTRY_POINT_GROUP, PluginSource, installed_plugins
from i1_hooks.errors import UserError
from i1_hooks.hookspecs import KINDS
from i1_hooks.import_cost import HEAVY
from i1_hooks.records import Registered
from i1_hooks.registry import Registry, get_registry, make_registry, use_registry

ConfigT = TypeVar("ConfigT", bound=ComponentConfig)

FUNCTION_KINDS = {"models": 0, "recipes": 0, "commands": 1}
"""The kinds whose code is a function, with the number of its arguments."""


def check_plugin(plugin: object, *, name: str = "under test") -> list[Registered]:
    """Checks everything that holds for any plugin, whatever its kinds.

    Every hook exists and is marked; every record's code can be imported; a configuration is a frozen
    keyword-only dataclass of the right kind with a docstring, registered where it is defined, and survives
    JSON when it has defaults for all fields; a function takes the arguments of its kind; a recipe survives
    JSON. A plugin module in a package, or one that an installed distribution names, imports nothing heavy
    (`check_import`); a single file may, since it holds the code of its components too.

    Args:
        plugin: the plugin module, or an object with hooks.
        name: what messages call it.

    Returns:
        The records that the plugin offers.

    Raises:
        UserError: when the registry refuses the plugin.
        AssertionError: naming every check that failed.
    """
    source = PluginSource(name, name, "0", lambda: plugin)
    alone = Registry([source], strict=True)
    offered = [found for kind in KINDS for found in alone.components(kind).values()]
    installed = make_registry()
    known = {found.component.config for kind in KINDS for found in installed.components(kind).values()}
    if all(found.component.config in known for found in offered):
        registry = installed
    else:
        registry = Registry([*installed_plugins(), source])
        for skipped in registry.skipped:
            if (name, name) in skipped.offers:
                raise UserError(str(skipped))
    problems: list[str] = []
    with use_registry(registry):
        for found in offered:
            place = f"{found.kind} {found.component.name!r}"
            problems += [f"{place}: {problem}" for problem in _problems(found, registry)]
    if isinstance(plugin, ModuleType) and ("." in plugin.__name__ or plugin.__name__ in _entry_points()):
        try:
            check_import(plugin.__name__)
        except AssertionError as error:
            problems.append(
                f"{error}, and so does every `i1` command: let its records point to modules that import it"
            )
    if problems:
        raise AssertionError("\n".join(problems))
    return offered


def _entry_points() -> set[str]:
    return {entry_point.module for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def _problems(found: Registered, registry: Registry) -> Iterator[str]:
    code = registry.load(found.kind, found.component.name)
    written = getattr(code, "__doc__", None) or ""
    if not written.strip() or written.startswith(
        f"{getattr(code, '__name__', '')}("
    ):  # what dataclass() writes
        yield "has no docstring"
    if found.kind in FUNCTION_KINDS:
        required = FUNCTION_KINDS[found.kind]
        if not callable(code):
            yield f"{found.component.config} is {code!r}, not a function"
        elif len(inspect.signature(code).parameters) != required:
            yield f"{found.component.config} must take {required} arguments"
        elif found.kind == "recipes":
            yield from _round_trip(code(), registry)
        return
    if not (isinstance(code, type) and issubclass(code, ComponentConfig)):
        yield f"{found.component.config} is {code!r}, not a subclass of the base class of {found.kind}"
        return
    if getattr(code, "kind", None) != found.kind:
        yield f"is of kind {getattr(code, 'kind', None)!r}: subclass the base class of {found.kind}"
        return
    defined = f"{code.__module__}:{code.__qualname__}"
    if defined != found.component.config:
        yield f"is registered as {found.component.config} but defined as {defined}"
        return
    if not dataclasses.is_dataclass(code) or "__dataclass_fields__" not in vars(code):
        yield "is not a dataclass: write @dataclass(frozen=True, kw_only=True) above the class"
        return
    fields = [field for field in dataclasses.fields(code) if field.init]
    frozen = vars(code)["__dataclass_params__"].frozen
    if not frozen or not all(field.kw_only for field in fields):
        yield "must be @dataclass(frozen=True, kw_only=True)"
    missing = dataclasses.MISSING
    if all(field.default is not missing or field.default_factory is not missing for field in fields):
        yield from _round_trip(code(), registry)


def _round_trip(config: object, registry: Registry) -> Iterator[str]:
    try:
        check_round_trip(config, registry)
    except UserError as error:
        yield str(error)


class ComponentSuite(Generic[ConfigT]):
    """What every component must do; the suites of the kinds add to it.

    Subclass the suite of a kind in a test file and set its attributes; pytest does the rest.

    Attributes:
        component: the configuration to check. One that reads files is set as `self.component` in a fixture
            with `autouse=True`.
        checks_json: whether the component is registered, so that its configuration must survive JSON.
    """

    component: ConfigT
    checks_json: bool = True

    def test_config_survives_json(self) -> None:
        """The configuration is the same after it was written as JSON and read back."""
        if self.checks_json:
            for problem in _round_trip(self.component, get_registry()):
                raise AssertionError(problem)


@contextlib.contextmanager
def temporary_registry(*plugins: object, files: Sequence[str | Path] = ()) -> Iterator[Registry]:
    """Makes a registry of the installed and the given plugins and files current in a `with` block.

    Args:
        *plugins: plugin modules, or objects with hooks.
        files: unpackaged plugin files.

    Raises:
        UserError: for a broken plugin, or a name that exists already.
    """
    given = [
        PluginSource(
            getattr(plugin, "__name__", f"plugin {i}"), f"plugin {i}", "0", lambda plugin=plugin: plugin
        )
        for i, plugin in enumerate(plugins)
    ]
    with use_registry(Registry([*installed_plugins(), *given], files=files, strict=True)) as registry:
        yield registry


def check_import(module: str, forbidden: Sequence[str] = HEAVY) -> None:
    """Checks in a fresh Python that importing `module` imports none of the `forbidden` packages.

    Raises:
        AssertionError: naming the packages that were imported, or the error of the import.
    """
    code = (
        "import importlib, json, sys; importlib.import_module(sys.argv[1]); "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, module],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"import {module} fails: {done.stderr.strip().splitlines()[-1]}")
    found = set(json.loads(done.stdout)).intersection(forbidden)
    if found:
        raise AssertionError(f"import {module} imports {', '.join(sorted(found))}")
