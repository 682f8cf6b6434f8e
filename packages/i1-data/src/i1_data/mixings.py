"""Mixings: how often each of several sources is visited."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from i1_hooks import ComponentConfig, UserError
from i1_hooks.returned import wrong_return


@dataclass(frozen=True, kw_only=True)
class MixingConfig(ComponentConfig, ABC, kind="mixings"):
    """Base of every mixing's configuration."""

    @abstractmethod
    def proportions(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Returns one positive number per source; visits are shared out in these proportions.

        Args:
            sizes: the number of records of each source.

        Raises:
            UserError: when the configuration does not fit the sources.
        """


def check_proportions(config: MixingConfig, sizes: Sequence[int]) -> tuple[float, ...]:
    """Returns a mixing's proportions after checking that there is one positive number per source.

    Raises:
        UserError: from the mixing, and naming one that returns something else.
    """
    proportions: Any = config.proportions(sizes)
    is_sound = (
        isinstance(proportions, (tuple, list))
        and len(proportions) == len(sizes)
        and all(
            isinstance(share, (int, float)) and share > 0 and math.isfinite(share) for share in proportions
        )
    )
    if not is_sound:
        raise wrong_return(
            config, f"proportions({list(sizes)})", proportions, f"{len(sizes)} positive finite numbers"
        )
    return tuple(proportions)


@dataclass(frozen=True, kw_only=True)
class EqualMixing(MixingConfig):
    """Visits every source equally often, whatever its size."""

    def proportions(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Returns ones."""
        return (1.0,) * len(sizes)


@dataclass(frozen=True, kw_only=True)
class BySizeMixing(MixingConfig):
    """Visits every record equally often: a source counts by its size."""

    def proportions(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Returns the sizes."""
        return tuple(float(size) for size in sizes)


@dataclass(frozen=True, kw_only=True)
class CappedMixing(MixingConfig):
    """Lets a source count by its size, up to a threshold."""

    threshold: int

    def __post_init__(self) -> None:
        if self.threshold < 1:
            raise UserError(f"capped: threshold must be at least 1 record, got {self.threshold}")

    def proportions(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Returns the sizes, none above the threshold."""
        return tuple(float(min(size, self.threshold)) for size in sizes)


@dataclass(frozen=True, kw_only=True)
class TemperatureMixing(MixingConfig):
    """Lets a source count by its size to the power `1 / temperature`: 1 is by size, more is more equal."""

    temperature: float

    def __post_init__(self) -> None:
        if not 0.1 <= self.temperature < float("inf"):
            raise UserError(f"temperature: temperature must be at least 0.1, got {self.temperature}")

    def proportions(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Returns the flattened sizes, the largest of them as 1."""
        largest = max(sizes)
        return tuple((size / largest) ** (1 / self.temperature) for size in sizes)


@dataclass(frozen=True, kw_only=True)
class WeightsMixing(MixingConfig):
    """Visits the sources in given proportions, one positive weight per source, in their order."""

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        for weight in self.weights:
            if not 0 < weight < float("inf"):
                raise UserError(
                    f"weights: {weight} is not a positive number; "
                    "leave a source out of `sources` to give it none"
                )

    def proportions(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Returns the weights.

        Raises:
            UserError: when their number is not the number of sources.
        """
        if len(self.weights) != len(sizes):
            raise UserError(
                f"weights: {len(self.weights)} weights for {len(sizes)} sources; give one per source"
            )
        return self.weights
