"""From a judge's reply to a score."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from i1_bench.prism.relaxed_json import Undefined, parse


@dataclass(frozen=True, kw_only=True)
class Rating:
    """What a reply amounts to.

    Attributes:
        parsed: its value; an empty object when it cannot be parsed, None when the reply is empty.
        saved: whether the published code keeps it; otherwise it counts as not judged.
        score: the number that counts; None when there is none.
        justification: the judge's reason, when it gave one.
        stops: whether the published code stops at this reply; here it counts as not judged.
    """

    parsed: Any
    saved: bool
    score: float | None = None
    justification: str = ""
    stops: bool = False


def rate(reply: str) -> Rating:
    """Returns the rating in a reply.

    The published rule: code fences and commas before closing brackets go, the rest must be one JSON value,
    strict or relaxed, and an object whose `score` is a number counts. Booleans count as 1 and 0; nothing is
    clamped.
    """
    if not reply:
        return Rating(parsed=None, saved=False)
    parsed = _parse(reply)
    if isinstance(parsed, Undefined) or _holds_undefined(parsed):
        return Rating(parsed=parsed, saved=False, stops=True)
    if not parsed:
        return Rating(parsed=parsed, saved=False)
    if isinstance(parsed, bool | int | float):
        return Rating(parsed=parsed, saved=True, stops=True)
    if not isinstance(parsed, dict):
        return Rating(parsed=parsed, saved=True, stops="score" in parsed)
    score = parsed.get("score")
    justification = parsed.get("justification", "")
    return Rating(
        parsed=parsed,
        saved=True,
        score=score if isinstance(score, bool | int | float) else None,
        justification=justification if isinstance(justification, str) else "",
    )


def rate_fixed(reply: str) -> float | None:
    """Returns the score in a reply when it is a number from 0 to 10 and no boolean, else None."""
    score = rate(reply).score
    if score is None or isinstance(score, bool) or not 0 <= score <= 10:
        return None
    return score


def _parse(reply: str) -> Any:
    text = reply.strip()
    text = text.removeprefix("```json").removesuffix("```").strip()
    text = re.sub(r",\s*([}\]])", r"\1", text)
    for read in (json.loads, parse):
        try:
            return read(text)
        except (ValueError, RecursionError):
            continue
    return {}


def _holds_undefined(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_undefined(part) for part in value.values())
    if isinstance(value, list):
        return any(_holds_undefined(part) for part in value)
    return isinstance(value, Undefined)
