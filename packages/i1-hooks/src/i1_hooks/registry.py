"""The plugins of a process, and the components they offer by name."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from i1_hooks.component import Component
from i1_hooks.discovery import PluginSource, file_plugin, installed_plugins
from i1_hooks.errors import UserError, unknown
from i1_hooks.hookspecs import KINDS, PROJECT, SPECIFICATIONS

PREFIX = f"{PROJECT}_"


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
        plugins: `(name, distribution, version, load)` per plugin; `load()` returns the plugin module.
        files: unpackaged plugin files, as `--plugin` takes them. A file that fails to load is an error.
        strict: raise on the first broken plugin instead of recording it in `failures`.

    Raises:
        UserError: for two plugins with one name, two components of one kind with one name, a plugin file that
            is missing or broken, and, when strict, any broken plugin.
    """

    def __init__(
        self,
        plugins: Iterable[PluginSource | tuple[str, str, str, Any]] = (),
        *,
        files: Sequence[str | os.PathLike[str]] = (),
        strict: bool = False,
    ) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        for specification in SPECIFICATIONS:
            self.manager.add_hookspecs(specification)
        self.failures: list[Failure] = []
        self._names: dict[str, str] = {}
        self._origins: dict[str, tuple[str, str]] = {}
        self._components: dict[str, dict[str, Registered]] = {kind: {} for kind in KINDS}
        for plugin in plugins:
            self._add(PluginSource(*plugin), strict=strict)
        for file in files:
            self.add_file(file)

    def add_file(self, file: str | os.PathLike[str]) -> None:
        """Loads one unpackaged plugin file.

        Raises:
            UserError: when the file is missing, broken, or offers a name that exists already.
        """
        self._add(file_plugin(file), strict=True)

    def _add(self, source: PluginSource, *, strict: bool) -> None:
        # pluggy would silently skip a second plugin with the same name
        if source.name in self._names:
            raise UserError(
                f"two plugins are named {source.name!r}: one of {self._names[source.name]}, "
                f"one of {source.distribution}; uninstall one or rename it"
            )
        self._names[source.name] = source.distribution
        try:
            plugin = source.load()
            _check_hooks(plugin, self.manager)
            components = _collect(plugin, source, self.manager)
            self.manager.register(plugin, name=source.name)
            self.manager.check_pending()
        except (Exception, SystemExit) as error:  # a plugin may fail in any way; the reason is kept and shown
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            failure = Failure(source.name, source.distribution, " ".join(reason.split()))
            if self.manager.has_plugin(source.name):
                self.manager.unregister(name=source.name)
            if strict:
                raise UserError(str(failure)) from error
            self.failures.append(failure)
            return
        self._origins[source.name] = (source.distribution, source.version)
        for registered in components:
            known = self._components[registered.kind]
            other = known.setdefault(registered.component.name, registered)
            if other is not registered:
                raise UserError(
                    f"{noun(registered.kind)} {registered.component.name!r} is offered twice: by "
                    f"{other.distribution} and by {source.distribution}; uninstall or rename one"
                )

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
            raise unknown(noun(kind), name, components, note=note)
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
            return functools.reduce(getattr, attribute.split("."), value)
        except UserError:
            raise
        except Exception as error:  # plugin code may fail in any way on import
            raise UserError(
                f"{noun(kind)} {name!r} of {registered.distribution}: cannot import "
                f"{registered.component.config!r}: {type(error).__name__}: {error}"
            ) from error

    def name_of(self, config_class: type) -> str:
        """Returns the registered name of a component's configuration class.

        Raises:
            UserError: when no plugin offers the class.
        """
        place = f"{config_class.__module__}:{config_class.__qualname__}"
        kind = getattr(config_class, "kind", None)
        if kind not in KINDS:
            raise UserError(f"{place} has no kind of component: subclass the base class of its slot")
        if registered := self.registered(config_class):
            return registered.component.name
        raise UserError(
            f"{place} is not registered: return Component(name, {place!r}, summary) "
            f"from the hook i1_{kind} of a plugin"
        )

    def registered(self, config_class: type) -> Registered | None:
        """Returns the record of a component's configuration class, `None` when no plugin offers it."""
        place = f"{config_class.__module__}:{config_class.__qualname__}"
        components = self._components.get(getattr(config_class, "kind", ""), {})
        return next((found for found in components.values() if found.component.config == place), None)

    def installed(self) -> dict[str, str]:
        """Returns distribution and version of every loaded plugin, for runs and checkpoints."""
        return dict(sorted(set(self._origins.values())))


def noun(kind: str) -> str:
    """Returns the singular of a kind for messages, for example `text encoder` for `text_encoders`."""
    singular = kind.removesuffix("ies") + "y" if kind.endswith("ies") else kind.removesuffix("s")
    return singular.replace("_", " ")


def _check_hooks(plugin: object, manager: pluggy.PluginManager) -> None:
    """Raises UserError for a hook that does not exist, or one that lacks its `@hookimpl` mark."""
    hooks = [name for name in vars(manager.hook) if name.startswith(PREFIX)]
    for name in dir(plugin):
        if not name.startswith(PREFIX) or not inspect.isroutine(getattr(plugin, name)):
            continue
        if name not in hooks:
            raise unknown("hook", name, hooks)
        if manager.parse_hookimpl_opts(plugin, name) is None:
            raise UserError(f"hook {name!r} lacks its mark: write @i1_hooks.hookimpl above it")


def _collect(plugin: object, source: PluginSource, manager: pluggy.PluginManager) -> list[Registered]:
    found = []
    for kind in KINDS:
        hook = getattr(plugin, PREFIX + kind, None)
        if hook is None or manager.parse_hookimpl_opts(plugin, PREFIX + kind) is None:
            continue
        records = hook()
        if isinstance(records, Component) or not isinstance(records, Iterable):
            raise TypeError(f"i1_{kind} returned {records!r}, expected a list of i1_hooks.Component")
        for component in records:
            if not isinstance(component, Component):
                raise TypeError(f"i1_{kind} returned {component!r}, expected i1_hooks.Component records")
            found.append(Registered(kind, component, source.distribution, source.version))
    return found


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
