"""The contract of a judge: from one picture and what was asked for to a verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from i1_hooks import ComponentConfig, UserError


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a judge found in one picture.

    Attributes:
        score: credit in [0, 1]; 1 is a right picture.
        reason: why credit was lost, in a few words; empty for a right picture.
        seen: what was measured, ready for JSON.
    """

    score: float
    reason: str = ""
    seen: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise UserError(f"verdict score {self.score!r}: expected a number from 0 to 1")

    @property
    def right(self) -> bool:
        """Whether nothing was wrong."""
        return self.score == 1.0


class Judge(ABC):
    """A measurement of one picture, the same whenever it is repeated."""

    @abstractmethod
    def judge(self, image: np.ndarray, spec: Any) -> Verdict:
        """Returns the verdict on one picture.

        Args:
            image: uint8 (height, width, 3), RGB.
            spec: what the prompt asked for, in the terms of the benchmark.

        Raises:
            UserError: for an array that is not such a picture.
        """


class JudgeConfig(ComponentConfig, kind="judges"):
    """Base of every configuration of a judge."""

    def build(self) -> Judge:
        """Returns the judge."""
        raise NotImplementedError(f"{type(self).__name__}.build")


def check_image(image: Any) -> np.ndarray:
    """Returns the picture itself when it is uint8 (height, width, 3).

    Raises:
        UserError: naming the type, dtype or shape found.
    """
    if not isinstance(image, np.ndarray):
        raise UserError(f"picture of type {type(image).__name__}: expected a uint8 array (height, width, 3)")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"picture {image.dtype} {image.shape}: expected uint8 (height, width, 3)")
    return image
