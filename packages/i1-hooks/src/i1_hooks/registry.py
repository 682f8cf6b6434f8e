"""Finding plugins, and looking up the components they offer."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from i1_hooks import hookspecs
from i1_hooks.component import Component
from i1_hooks.errors import UserError, unknown
from i1_hooks.hookspecs import KINDS, PROJECT


@dataclass(frozen=True)
class Registered:
    """A component together with the distribution that offers it."""

    kind: str
    component: Component
    distribution: str
    version: str


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, and why."""

    plugin: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} failed to load: {self.reason}"


class Registry:
    """The plugins of this process and every component they offer.

    Args:
        plugins: `(name, distribution, version, loader)` per plugin; a loader returns the plugin module or object.
        files: unpackaged plugin files, as `--plugin` takes them. A file that fails to load is an error.
        strict: raise on the first broken plugin instead of recording it in `failures`.

    Raises:
        UserError: for two plugins with one name, two components of one kind with one name, a plugin file that is
            missing or broken, and, when strict, any broken plugin.
    """

    def __init__(
        self,
        plugins: Iterable[tuple[str, str, str, Any]] = (),
        *,
        files: Sequence[str | os.PathLike[str]] = (),
        strict: bool = False,
    ) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.failures: list[Failure] = []
        self._origins: dict[str, tuple[str, str]] = {}
        self._components: dict[str, dict[str, Registered]] = {kind: {} for kind in KINDS}
        self._strict = strict
        for name, distribution, version, loader in plugins:
            self._add(name, distribution, version, loader)
        for file in files:
            self.add_file(file)

    def add_file(self, file: str | os.PathLike[str]) -> None:
        """Loads one unpackaged plugin file.

        Raises:
            UserError: when the file is missing, broken, or offers a name that exists already.
        """
        path = Path(file).resolve()
        failures = len(self.failures)
        self._add(str(path), str(file), "file", functools.partial(_load_file, path))
        if len(self.failures) > failures:
            raise UserError(str(self.failures[-1]))

    def _add(self, name: str, distribution: str, version: str, loader: Any) -> None:
        if name in self._origins:
            raise UserError(
                f"two plugins are named {name!r}: one of {self._origins[name][0]}, one of {distribution}; "
                "uninstall one or rename its entry point"
            )
        try:
            plugin = loader()
            self.manager.register(plugin, name=name)
            try:
                self.manager.check_pending()
                components = self._collect(plugin, distribution, version)
            except Exception:
                self.manager.unregister(name=name)
                raise
        except Exception as error:  # a plugin may fail in any way; the reason is kept and shown
            failure = Failure(name, distribution, f"{type(error).__name__}: {error}")
            if self._strict:
                raise UserError(str(failure)) from error
            self.failures.append(failure)
            return
        self._origins[name] = (distribution, version)
        for registered in components:
            known = self._components[registered.kind]
            other = known.get(registered.component.name)
            if other is not None:
                raise UserError(
                    f"{registered.kind} {registered.component.name!r} is offered twice: by {other.distribution} "
                    f"and by {distribution}; rename one or uninstall it"
                )
            known[registered.component.name] = registered

    def _collect(self, plugin: object, distribution: str, version: str) -> list[Registered]:
        found = []
        for kind in KINDS:
            hook = getattr(plugin, f"i1_{kind}", None)
            if hook is None or self.manager.parse_hookimpl_opts(plugin, f"i1_{kind}") is None:
                continue
            for component in hook():
                if not isinstance(component, Component):
                    raise TypeError(f"i1_{kind} returned {component!r}, expected i1_hooks.Component records")
                found.append(Registered(kind, component, distribution, version))
        return found

    @property
    def plugins(self) -> dict[str, tuple[str, str]]:
        """Every loaded plugin: its name, mapped to its distribution and version."""
        return dict(self._origins)

    def components(self, kind: str) -> dict[str, Registered]:
        """Returns the components of one kind by name.

        Raises:
            UserError: for a kind that does not exist.
        """
        if kind not in self._components:
            raise unknown("kind of component", kind, KINDS)
        return dict(self._components[kind])

    def find(self, kind: str, name: str) -> Registered:
        """Returns one component's record without importing its code.

        Raises:
            UserError: listing the choices and the plugins that failed to load.
        """
        components = self.components(kind)
        if name not in components:
            note = "; ".join(str(failure) for failure in self.failures)
            raise unknown(kind.removesuffix("s").replace("_", " "), name, components, note=note)
        return components[name]

    def load(self, kind: str, name: str) -> Any:
        """Imports and returns the code behind a component.

        Raises:
            UserError: for an unknown name, or code that cannot be imported.
        """
        registered = self.find(kind, name)
        module_name, _, attribute = registered.component.config.partition(":")
        try:
            value: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                value = getattr(value, part)
        except Exception as error:  # plugin code may fail in any way on import
            raise UserError(
                f"{kind} {name!r} of {registered.distribution}: cannot import {registered.component.config!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return value

    def name_of(self, config_class: type) -> str:
        """Returns the registered name of a component's configuration class.

        Raises:
            UserError: when no plugin offers the class.
        """
        kind = getattr(config_class, "kind", None)
        place = f"{config_class.__module__}:{config_class.__qualname__}"
        for name, registered in self.components(str(kind)).items():
            if registered.component.config == place:
                return name
        raise UserError(
            f"{place} is not registered: return Component(name, {place!r}, summary) from the hook i1_{kind} of a plugin"
        )

    def installed(self) -> dict[str, str]:
        """Returns distribution and version of every loaded plugin, for runs and checkpoints."""
        return dict(sorted(set(self._origins.values())))


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    name = f"i1_plugin_{path.stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def installed_plugins() -> list[tuple[str, str, str, Any]]:
    """Returns every plugin that an installed distribution names in the entry-point group `i1`."""
    found = []
    for entry_point in importlib.metadata.entry_points(group=PROJECT):
        distribution = entry_point.dist
        name, version = (distribution.name, distribution.version) if distribution else ("unknown", "unknown")
        found.append((entry_point.name, name, version, entry_point.load))
    return sorted(found, key=lambda plugin: (not plugin[1].startswith("i1-"), plugin[1], plugin[0]))


def make_registry(files: Sequence[str | os.PathLike[str]] = ()) -> Registry:
    """Returns a new registry of the installed plugins and the given plugin files.

    `I1_STRICT_PLUGINS=1` turns a broken plugin into an error.
    """
    return Registry(installed_plugins(), files=files, strict=os.environ.get("I1_STRICT_PLUGINS") == "1")


_registry: Registry | None = None


def get_registry() -> Registry:
    """Returns the process-wide registry, made on first use from the installed plugins."""
    global _registry
    if _registry is None:
        _registry = make_registry()
    return _registry


def set_registry(registry: Registry | None) -> None:
    """Replaces the process-wide registry; `None` makes the next `get_registry` build it anew."""
    global _registry
    _registry = registry


@contextlib.contextmanager
def use_registry(registry: Registry) -> Iterator[Registry]:
    """Makes `registry` the process-wide one inside a `with` block."""
    previous = _registry
    set_registry(registry)
    try:
        yield registry
    finally:
        set_registry(previous)
