"""The contract of a judge: from one picture and a question about it to an answer."""

from __future__ import annotations

import hashlib
import io
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from i1_hooks import ComponentConfig, UserError, to_dict
from PIL import Image


class JudgeError(Exception):
    """A call that gave no answer; the picture counts as not judged, and the next run asks again."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a judge looks at.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        file: a file that shows exactly these pixels, if there is one.
    """

    pixels: np.ndarray
    file: Path | None = None

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        if self.file is not None and self.file.suffix.lower() == ".png":
            return self.file.read_bytes()
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, format="PNG")
        return file.getvalue()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of size and pixels."""
        shape = "x".join(map(str, self.pixels.shape)).encode()
        return hashlib.sha256(shape + np.ascontiguousarray(self.pixels).tobytes()).hexdigest()


class Judge(ABC):
    """A way to answer questions about pictures, one picture and one question at a time."""

    kind: ClassVar[str]
    """What questions and answers are; a benchmark says which kinds it can ask."""
    concurrency: int = 1
    """How many questions it may be asked at once."""

    @abstractmethod
    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the answer, JSON-ready.

        Args:
            picture: what is looked at.
            question: in the terms of the judge's kind.

        Raises:
            JudgeError: when there is no answer this time.
            UserError: when there will be none until the user changes something.
        """

    def versions(self) -> dict[str, str]:
        """Returns the versions of what the answers depend on."""
        return {}

    def close(self) -> None:  # noqa: B027 (most judges hold nothing)
        """Releases what the judge holds."""


class JudgeConfig(ComponentConfig, kind="judges"):
    """Base of every configuration of a judge."""

    def build(self) -> Judge:
        """Returns the judge."""
        raise NotImplementedError(f"{type(self).__name__}.build")

    def unrecorded(self) -> frozenset[str]:
        """Returns the fields that answers do not depend on, such as how many are asked at once."""
        return frozenset()


def describe(config: JudgeConfig, judge: Judge) -> dict[str, Any]:
    """Returns the identity of a judge: its component, settings and versions."""
    settings = {name: value for name, value in to_dict(config).items() if name not in config.unrecorded()}
    return {**settings, "kind": judge.kind, "versions": judge.versions()}


def digest(value: Any) -> str:
    """Returns the first 16 hexadecimal digits of the SHA-256 of a value's JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


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

    def to_answer(self) -> dict[str, Any]:
        """Returns the verdict as it is recorded."""
        return {"score": self.score, "reason": self.reason, "seen": self.seen}

    @classmethod
    def from_answer(cls, answer: Any) -> Verdict:
        """Returns the verdict that was recorded.

        Raises:
            UserError: for a record that is no verdict.
        """
        try:
            return cls(score=answer["score"], reason=answer["reason"], seen=answer["seen"])
        except (TypeError, KeyError) as error:
            raise UserError(f"recorded verdict {answer!r}: expected score, reason and seen") from error


class VerdictJudge(Judge):
    """A judge that measures how right a picture is, the same whenever it is repeated."""

    kind = "verdict"

    @abstractmethod
    def judge(self, image: np.ndarray, spec: Any) -> Verdict:
        """Returns the verdict on one picture.

        Args:
            image: uint8 (height, width, 3), RGB.
            spec: what the prompt asked for, in the terms of the benchmark.

        Raises:
            UserError: for an array that is not such a picture.
        """

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the verdict as JSON."""
        return self.judge(picture.pixels, question).to_answer()


class OcrJudge(Judge):
    """A judge that reads text; questions are empty, an answer is a list of lines."""

    kind = "ocr"

    @abstractmethod
    def read(self, picture: Picture) -> list[str]:
        """Returns the lines of text in a picture; none is an empty list."""

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the lines."""
        del question
        return self.read(picture)


class TextJudge(Judge):
    """A judge that replies to a prompt about a picture; questions and answers are texts."""

    kind = "vlm"

    @abstractmethod
    def reply(self, picture: Picture, prompt: str) -> str:
        """Returns the reply to a prompt."""

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the reply."""
        return self.reply(picture, question)


class YesNoJudge(Judge):
    """A judge of questions that are answered by yes or no; questions and answers are texts."""

    kind = "vqa"


class DetectorJudge(Judge):
    """A judge that finds objects.

    A question holds `classes`, the class names that matter, and `colours`, for a class the number of its best
    boxes whose colour is asked. An answer holds for each class a list of `box` (x1, y1, x2, y2, score) and,
    where it was asked, `colour`.
    """

    kind = "detector"


class SimilarityJudge(Judge):
    """A judge of how well a text fits a picture; questions are texts, answers numbers."""

    kind = "similarity"


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
