"""Captioners: rules that turn a record's captions into one caption per visit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from i1_hooks import ComponentConfig

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
