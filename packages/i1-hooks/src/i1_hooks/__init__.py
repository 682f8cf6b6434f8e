"""The contract of i1: hook specifications, the component registry and the `i1` command."""

from i1_hooks.component import Component, ComponentConfig
from i1_hooks.config import from_dict, from_json, to_dict, to_json
from i1_hooks.errors import UserError, unknown
from i1_hooks.hookspecs import hookimpl, hookspec
from i1_hooks.overrides import override
from i1_hooks.parser import CommandParser
from i1_hooks.registry import Registry, get_registry, set_registry, use_registry

__all__ = [
    "CommandParser",
    "Component",
    "ComponentConfig",
    "Registry",
    "UserError",
    "from_dict",
    "from_json",
    "get_registry",
    "hookimpl",
    "hookspec",
    "override",
    "set_registry",
    "to_dict",
    "to_json",
    "unknown",
    "use_registry",
]
