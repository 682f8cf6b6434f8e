"""The records with which a plugin says what it offers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from i1_hooks.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PLACE = re.compile(r"[^\s:]+:[^\s:]+")


@dataclass(frozen=True)
class Component:
    """A named choice for a recipe or a command line.

    Attributes:
        name: what people write, for example `"transformer"`; unique within its kind. Letters, digits,
            dot, underscore and hyphen.
        config: the place of the code, as `"package.module:Attribute"`. It is imported only when the component
            is used, so that listing components imports nothing heavy. For most kinds the attribute is a
            `ComponentConfig` subclass; for `recipes`, `models` and `commands` it is a function.
        summary: one line for `i1 plugins`.

    Raises:
        UserError: for a name, place or summary of another form.
    """

    name: str
    config: str
    summary: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UserError(
                f"component {self.name!r}: a name holds letters, digits and '.', '_', '-', "
                "and starts with a letter or digit"
            )
        if not PLACE.fullmatch(self.config):
            raise UserError(
                f"component {self.name!r}: config must read 'package.module:Attribute', got {self.config!r}"
            )
        if not self.summary.strip() or "\n" in self.summary:
            raise UserError(f"component {self.name!r}: summary must be one line, got {self.summary!r}")


class ComponentConfig:
    """Base of every configuration that fills a plugin slot.

    A package declares a kind once, `class AdapterConfig(ComponentConfig, kind="adapters")`, and types its
    slots by that class; a component subclasses it as a frozen keyword-only dataclass.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, kind: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if kind is not None:
            cls.kind = kind


def slot_of(config_class: type[ComponentConfig]) -> type[ComponentConfig]:
    """Returns the base class that declares the kind of a component, as the fields that take it are typed.

    Raises:
        UserError: for a class that no declared kind stands above.
    """
    for base in reversed(config_class.__mro__):
        if "kind" in vars(base):
            return base
    raise UserError(f"{config_class.__qualname__} has no kind: subclass the base class of its slot")
