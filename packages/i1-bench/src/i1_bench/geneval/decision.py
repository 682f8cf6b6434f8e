"""Whether the detected objects of one picture are what its prompt asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from i1_bench.geneval.geometry import overlap, relations


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The settings of the decision; the defaults are the published ones.

    Attributes:
        threshold: detections must score more than this.
        counting_threshold: the same for prompts tagged `counting`.
        max_objects: detections kept of one class.
        max_overlap: a detection that overlaps a better one of its class this much is dropped; 1 keeps all.
        position_threshold: see `geometry.relations`.
    """

    threshold: float = 0.3
    counting_threshold: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    position_threshold: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One box found by the detector.

    Attributes:
        box: float32 (5,), x1, y1, x2, y2 in pixels and the score.
        colour: what the colour classifier calls it, when it was asked.
    """

    box: np.ndarray
    colour: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The outcome for one picture.

    Attributes:
        correct: whether everything asked for is there and nothing excluded.
        reasons: what is wrong, one line each.
        kept: the detections that counted, best first, by class.
    """

    correct: bool
    reasons: tuple[str, ...]
    kept: Mapping[str, Sequence[Detection]]


Detections = Mapping[str, Sequence[Detection]]


def select(found: Sequence[Detection], threshold: float, settings: Thresholds) -> list[Detection]:
    """Returns the detections of one class that count, best first."""
    ordered = sorted(found, key=lambda detection: -float(detection.box[4]))
    above = [detection for detection in ordered if detection.box[4] > np.float32(threshold)]
    kept: list[Detection] = []
    for detection in above[: settings.max_objects]:
        clashes = (overlap(detection.box, other.box) >= settings.max_overlap for other in kept)
        if settings.max_overlap >= 1 or not any(clashes):
            kept.append(detection)
    return kept


def decide(
    metadata: Mapping[str, Any], detections: Detections, settings: Thresholds | None = None
) -> Decision:
    """Returns whether detections satisfy all `include` clauses and none of the `exclude` clauses.

    Args:
        metadata: `tag`, `include` and `exclude` of the prompt.
        detections: everything found, by class name.
        settings: None is the published setting.
    """
    settings = settings or Thresholds()
    threshold = settings.counting_threshold if metadata["tag"] == "counting" else settings.threshold
    kept = {name: select(found, threshold, settings) for name, found in detections.items()}
    kept = {name: found for name, found in kept.items() if found}
    reasons: list[str] = []
    groups: list[list[Detection] | None] = []
    for clause in metadata.get("include", ()):
        found = list(kept.get(clause["class"], ()))[: clause["count"]]
        reason = _include_reason(clause, found, groups, settings)
        groups.append(None if reason else found)
        reasons += [reason] * bool(reason)
    for clause in metadata.get("exclude", ()):
        count = len(kept.get(clause["class"], ()))
        if count >= clause["count"]:
            reasons.append(f"expected {clause['class']}<{clause['count']}, found {count}")
    return Decision(correct=not reasons, reasons=tuple(reasons), kept=kept)


def _include_reason(
    clause: Mapping[str, Any],
    found: list[Detection],
    groups: list[list[Detection] | None],
    settings: Thresholds,
) -> str:
    """Returns why the best boxes of a class do not satisfy a clause, or an empty string."""
    name, count = clause["class"], clause["count"]
    if len(found) < count:
        return f"expected {name}>={count}, found {len(found)}"
    if colour := clause.get("color"):
        colours = Counter(detection.colour for detection in found)
        if colours[colour] < count:
            others = ", ".join(f"{number} {other}" for other, number in colours.items())
            return f"expected {colour} {name}>={count}, found {colours[colour]} {colour}; and {others}"
    if position := clause.get("position"):
        relation, reference = position
        targets = groups[reference]
        if targets is None:
            return f"no target for {name} to be {relation}"
        for subject in found:
            for target in targets:
                seen = relations(subject.box, target.box, settings.position_threshold)
                if relation not in seen:
                    return f"expected {name} {relation} target, found {' and '.join(sorted(seen))} target"
    return ""
