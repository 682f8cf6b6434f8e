"""Captioners: rules that turn a record's captions into one caption per visit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from i1_hooks import ComponentConfig, UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class CaptionerConfig(ComponentConfig, ABC, kind="captioners"):
    """Base of every captioner's configuration."""

    @abstractmethod
    def caption(self, captions: Sequence[str], rng: np.random.Generator) -> str:
        """Returns the caption of one visit.

        Args:
            captions: the record's captions, possibly none.
            rng: the only allowed randomness; a fresh state for every visit.
        """


@dataclass(frozen=True, kw_only=True)
class UniformCaptioner(CaptionerConfig):
    """Draws one of the captions uniformly on every visit; no captions give the empty string."""

    def caption(self, captions: Sequence[str], rng: np.random.Generator) -> str:
        """Returns one of the captions, each equally likely."""
        return captions[int(rng.integers(len(captions)))] if captions else ""


@dataclass(frozen=True, kw_only=True)
class FirstCaptioner(CaptionerConfig):
    """Takes the first caption; no captions give the empty string."""

    def caption(self, captions: Sequence[str], rng: np.random.Generator) -> str:  # noqa: ARG002  (the interface)
        """Returns the first caption."""
        return captions[0] if captions else ""


@dataclass(frozen=True, kw_only=True)
class LongestCaptioner(CaptionerConfig):
    """Takes the caption with most characters, the first of several; no captions give the empty string."""

    def caption(self, captions: Sequence[str], rng: np.random.Generator) -> str:  # noqa: ARG002  (the interface)
        """Returns the longest caption."""
        return max(captions, key=len, default="")


@dataclass(frozen=True, kw_only=True)
class ShortestCaptioner(CaptionerConfig):
    """Takes the caption with fewest characters, the first of several; no captions give the empty string."""

    def caption(self, captions: Sequence[str], rng: np.random.Generator) -> str:  # noqa: ARG002  (the interface)
        """Returns the shortest caption."""
        return min(captions, key=len, default="")


@dataclass(frozen=True, kw_only=True)
class LengthMixCaptioner(CaptionerConfig):
    """Takes the longest caption in a share of the visits and the shortest in the others.

    Source: the axis of 0 to 100 % long captions in arXiv 2606.11289.

    Attributes:
        long_share: from 0 to 1.
    """

    long_share: float

    def __post_init__(self) -> None:
        if not 0 <= self.long_share <= 1:
            raise UserError(f"length_mix: long_share must be from 0 to 1, got {self.long_share}")

    def caption(self, captions: Sequence[str], rng: np.random.Generator) -> str:
        """Returns the longest or the shortest caption."""
        choose = max if rng.random() < self.long_share else min
        return choose(captions, key=len, default="")
