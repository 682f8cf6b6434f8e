"""The records that cross package borders: what a plugin says it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from i1_hooks.errors import UserError


@dataclass(frozen=True)
class Component:
    """One named thing that a recipe or a command line can choose.

    Attributes:
        name: what people write, for example `"transformer"`; unique within its kind.
        config: where the code is, as `"package.module:Attribute"`. It is imported only when the
            component is used, so that listing components imports nothing heavy. For most kinds the
            attribute is a `ComponentConfig` subclass; for `recipes`, `models` and `commands` it is a function.
        summary: one line for `i1 plugins`.
    """

    name: str
    config: str
    summary: str

    def __post_init__(self) -> None:
        module, _, attribute = self.config.partition(":")
        if not module or not attribute:
            raise UserError(
                f"component {self.name!r}: config must read 'package.module:Attribute', got {self.config!r}"
            )


class ComponentConfig:
    """Base of every configuration that fills a plugin slot.

    A package declares a kind once, `class AdapterConfig(ComponentConfig, kind="adapters")`, and types its slots by
    that class; a component subclasses it as a frozen keyword-only dataclass.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, kind: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if kind is not None:
            cls.kind = kind
