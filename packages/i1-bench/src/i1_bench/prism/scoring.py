"""Means of ratings over tracks and aspects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TRACKS = ("imagination", "entity", "text_rendering", "style", "affection", "composition", "long_text")
ASPECTS = ("alignment", "aesthetic")

Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""The scores that count, by aspect and track."""


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Means of the scores that count, 0 to 10; a mean of nothing is 0, as published.

    Attributes:
        tracks: for each track `alignment`, `aesthetic` and `combined`, the pool of both.
        alignment: of all tracks together.
        aesthetic: of all tracks together.
        final: of all scores together.
    """

    tracks: dict[str, dict[str, float]]
    alignment: float
    aesthetic: float
    final: float


def average(scores: Scores) -> Averages:
    """Returns the published means: every score that counts has the same weight."""

    def mean(aspects: Sequence[str], tracks: Sequence[str] = TRACKS) -> float:
        pool = [s for aspect in aspects for track in tracks for s in scores.get(aspect, {}).get(track, ())]
        return sum(pool) / len(pool) if pool else 0.0

    return Averages(
        tracks={
            track: {
                "alignment": mean(["alignment"], [track]),
                "aesthetic": mean(["aesthetic"], [track]),
                "combined": mean(ASPECTS, [track]),
            }
            for track in TRACKS
        },
        alignment=mean(["alignment"]),
        aesthetic=mean(["aesthetic"]),
        final=mean(ASPECTS),
    )


def final_fixed(scores: Scores) -> float | None:
    """Returns the mean over aspects and tracks of the mean score, so that missing scores shift no weight.

    Args:
        scores: numbers from 0 to 10.

    Returns:
        0 to 10; None when a track has no score in an aspect.
    """
    groups = [scores.get(aspect, {}).get(track, ()) for aspect in ASPECTS for track in TRACKS]
    if not all(len(group) for group in groups):
        return None
    return sum(sum(group) / len(group) for group in groups) / len(groups)


def reference_report(averages: Averages) -> list[str]:
    """Returns the lines that the published summary prints."""
    lines = [
        "=" * 60,
        " " * 10 + "EVALUATION SUMMARY REPORT",
        "=" * 60,
        "",
        "--- (1 & 4) Average Scores by Sub-Part ---",
        "",
    ]
    for track, means in averages.tracks.items():
        lines += [
            f"Category: {track.capitalize()}",
            f"  - Alignment Average: {means['alignment']:.2f}",
            f"  - Aesthetic Average: {means['aesthetic']:.2f}",
            f"  - Combined Average:  {means['combined']:.2f}",
            "",
        ]
    return [
        *lines,
        "",
        "-" * 60,
        "",
        "--- Overall Average Scores ---",
        "",
        f"(2) Overall Alignment Average: {averages.alignment:.2f}",
        f"(3) Overall Aesthetic Average: {averages.aesthetic:.2f}",
        "",
        "=" * 60,
        "",
        f"(5) FINAL COMBINED AVERAGE SCORE: {averages.final:.2f}",
        "=" * 60,
    ]
