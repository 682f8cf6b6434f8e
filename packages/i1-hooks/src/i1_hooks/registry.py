"""The plugins of a process, and the components they offer by name."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import pluggy

from i1_hooks.component import Component
from i1_hooks.disabled import disabled_plugins
from i1_hooks.discovery import PluginSource, file_plugin, installed_plugins, is_own
from i1_hooks.errors import UserError, unknown
from i1_hooks.hookspecs import KINDS, PROJECT, SPECIFICATIONS
from i1_hooks.records import Failure, Registered, Skipped, noun
from i1_hooks.text import one_line

PREFIX = f"{PROJECT}_"


class Registry:
    """The plugins of this process and every component they offer.

    Where several plugins claim one name, none of them gets it and everything else is used; a name of i1
    itself stays i1's.

    Args:
        plugins: `(name, distribution, version, load)` per plugin; `load()` returns the plugin module.
        files: unpackaged plugin files, as `--plugin` takes them. A file that fails to load, or that claims a
            name that exists already, is an error.
        strict: raise for the first broken plugin or contested name instead of recording it.
        disabled: names of plugins or distributions that are not loaded.

    Attributes:
        manager: the plugin manager that calls the hooks.
        failures: the plugins that could not be loaded.
        skipped: the names that several plugins claim.
        disabled: plugin and distribution of what is installed but disabled.

    Raises:
        UserError: for a plugin file that is missing, broken or claims a name that exists already, and, when
            strict, for any broken plugin or contested name.
    """

    def __init__(
        self,
        plugins: Iterable[PluginSource | tuple[str, str, str, Callable[[], object]]] = (),
        *,
        files: Sequence[str | os.PathLike[str]] = (),
        strict: bool = False,
        disabled: Collection[str] = (),
    ) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        for specification in SPECIFICATIONS:
            self.manager.add_hookspecs(specification)
        self.failures: list[Failure] = []
        self.skipped: list[Skipped] = []
        self.disabled: list[tuple[str, str]] = []
        self._distributions: dict[str, str] = {}
        self._origins: dict[str, tuple[str, str]] = {}
        self._components: dict[str, dict[str, Registered]] = {kind: {} for kind in KINDS}
        self._add_all([PluginSource(*plugin) for plugin in plugins], strict=strict, disabled=disabled)
        for file in files:
            self.add_file(file)

    def add_file(self, file: str | os.PathLike[str]) -> None:
        """Loads one unpackaged plugin file.

        Raises:
            UserError: when the file is missing, broken, or offers a name that exists already.
        """
        source = file_plugin(file)
        if source.name in self._distributions:
            raise UserError(
                f"two plugins are named {source.name!r}: one of {self._distributions[source.name]}, "
                f"one of {source.distribution}; rename the file"
            )
        for registered in self._load(source, strict=True):
            other = self._components[registered.kind].setdefault(registered.component.name, registered)
            if other is not registered:
                raise UserError(
                    f"{noun(registered.kind)} {registered.component.name!r} is offered twice: by "
                    f"{other.distribution} and by {source.distribution}; choose another name in the file"
                    + ("" if is_own(other.distribution) else f", or `i1 plugins disable {other.plugin}`")
                )

    def _add_all(self, sources: Sequence[PluginSource], *, strict: bool, disabled: Collection[str]) -> None:
        by_name: dict[str, list[PluginSource]] = {}
        for source in sources:
            if source.name in disabled or source.distribution in disabled:
                self.disabled.append((source.name, source.distribution))
            else:
                by_name.setdefault(source.name, []).append(source)
        claims: dict[tuple[str, str], list[Registered]] = {}
        for name, candidates in by_name.items():
            offers = [(source.name, source.distribution) for source in candidates]
            chosen = self._settle("", name, offers, strict=strict)
            if chosen is not None:
                for registered in self._load(candidates[chosen], strict=strict):
                    key = registered.kind, registered.component.name
                    claims.setdefault(key, []).append(registered)
        for (kind, name), found in claims.items():
            offers = [(registered.plugin, registered.distribution) for registered in found]
            chosen = self._settle(kind, name, offers, strict=strict)
            if chosen is not None:
                self._components[kind][name] = found[chosen]

    def _settle(self, kind: str, name: str, offers: Sequence[tuple[str, str]], *, strict: bool) -> int | None:
        """Returns which of several claims to a name is used; records, or raises for, the others."""
        if len(offers) == 1:
            return 0
        own = [index for index, (_, distribution) in enumerate(offers) if is_own(distribution)]
        chosen = own[0] if len(own) == 1 else None
        skipped = Skipped(
            kind,
            name,
            tuple(offer for index, offer in enumerate(offers) if index != chosen),
            None if chosen is None else offers[chosen],
        )
        if strict:
            raise UserError(str(skipped))
        self.skipped.append(skipped)
        return chosen

    def _load(self, source: PluginSource, *, strict: bool) -> list[Registered]:
        """Loads a plugin and returns its components; a broken one has none."""
        self._distributions[source.name] = source.distribution
        try:
            plugin = source.load()
            _check_hooks(plugin, self.manager)
            components = _collect(plugin, source, self.manager)
            self.manager.register(plugin, name=source.name)
            self.manager.check_pending()
        except (Exception, SystemExit) as error:  # a plugin may fail in any way; the reason is kept and shown
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            failure = Failure(source.name, source.distribution, one_line(reason))
            if self.manager.has_plugin(source.name):
                self.manager.unregister(name=source.name)
            if strict:
                raise UserError(str(failure)) from error
            self.failures.append(failure)
            return []
        self._origins[source.name] = (source.distribution, source.version)
        return components

    @property
    def warnings(self) -> list[str]:
        """What `i1` prints before a command: one line for every broken plugin and every contested name."""
        return [str(item) for item in (*self.failures, *self.skipped)]

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
            UserError: listing the choices, and the plugins that failed to load or are disabled; or naming the
                plugins that both claim the name.
        """
        components = self.components(kind)
        if name not in components:
            for skipped in self.skipped:
                if (skipped.kind, skipped.name) == (kind, name):
                    raise UserError(str(skipped))
            notes = [
                *map(str, self.failures),
                *(str(skipped) for skipped in self.skipped if not skipped.kind),
            ]
            notes += [
                f"plugin {plugin!r} of {distribution} is disabled: `i1 plugins enable {plugin}`"
                for plugin, distribution in self.disabled
            ]
            raise unknown(noun(kind), name, components, note="; ".join(notes))
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

    def distributions(self) -> set[str]:
        """Returns every distribution that has a plugin, also those that are broken, contested or disabled."""
        contested = {distribution for skipped in self.skipped for _, distribution in skipped.offers}
        disabled = {distribution for _, distribution in self.disabled}
        return {*self._distributions.values(), *contested, *disabled}

    def installed(self) -> dict[str, str]:
        """Returns distribution and version of every loaded plugin, for runs and checkpoints."""
        return dict(sorted(set(self._origins.values())))


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
            found.append(Registered(kind, component, source.distribution, source.version, source.name))
    return found


def make_registry(files: Sequence[str | os.PathLike[str]] = ()) -> Registry:
    """Returns a new registry of the installed plugins and the given plugin files.

    What `i1 plugins disable` and `I1_DISABLED_PLUGINS` name is left out. `I1_STRICT_PLUGINS=1` turns a broken
    plugin or a contested name into an error.
    """
    strict = os.environ.get("I1_STRICT_PLUGINS") == "1"
    return Registry(installed_plugins(), files=files, strict=strict, disabled=disabled_plugins())


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
