"""What a registry knows: components that were found, plugins that failed, names that are contested."""

from __future__ import annotations

from dataclasses import dataclass

from i1_hooks.component import Component


@dataclass(frozen=True)
class Registered:
    """A component, with the plugin and the distribution that offer it."""

    kind: str
    component: Component
    distribution: str
    version: str
    plugin: str = ""


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, and why."""

    plugin: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} failed to load: {self.reason}"


@dataclass(frozen=True)
class Skipped:
    """A name that several plugins claim.

    Attributes:
        kind: the kind of the component, empty when the plugins themselves share the name.
        name: what they claim.
        offers: plugin and distribution of each claim that is not used.
        kept: plugin and distribution of the claim that is used: that of i1, if it makes one.
    """

    kind: str
    name: str
    offers: tuple[tuple[str, str], ...]
    kept: tuple[str, str] | None = None

    def __str__(self) -> str:
        claims = [*([self.kept] if self.kept else []), *self.offers]
        what = f"{noun(self.kind)} {self.name!r} is offered by" if self.kind else "one name for plugins:"
        listed = " and ".join(f"plugin {plugin!r} of {distribution}" for plugin, distribution in claims)
        used = f"that of {self.kept[1]} is used" if self.kept else "none is used"
        # two plugins of one name are told apart by their distributions
        choices = [plugin if self.kind else distribution for plugin, distribution in self.offers]
        fix = " or ".join(f"`i1 plugins disable {choice}`" for choice in dict.fromkeys(choices))
        return f"{what} {listed}; {used}: uninstall or rename one, or {fix}"


def noun(kind: str) -> str:
    """Returns the singular of a kind for messages, for example `text encoder` for `text_encoders`."""
    singular = kind.removesuffix("ies") + "y" if kind.endswith("ies") else kind.removesuffix("s")
    return singular.replace("_", " ")
