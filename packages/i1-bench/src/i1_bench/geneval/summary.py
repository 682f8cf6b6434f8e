"""Accuracies over pictures, prompts and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Whether one picture is correct.

    Attributes:
        prompt_index: the row of the prompt file.
        tag: the kind of prompt.
        correct: whether the picture is correct.
    """

    prompt_index: int
    tag: str
    correct: bool


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The accuracies of a run.

    Attributes:
        num_images: pictures judged.
        num_prompts: prompts with at least one judged picture.
        image_accuracy: the share of correct pictures.
        prompt_accuracy: the share of prompts with any correct picture.
        tags: for each tag that is present, correct and all pictures, in the order of first appearance.
        overall: the unweighted mean of the tags' accuracies: the GenEval score; None without pictures.
    """

    num_images: int
    num_prompts: int
    image_accuracy: float | None
    prompt_accuracy: float | None
    tags: dict[str, tuple[int, int]]
    overall: float | None


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Returns the accuracies of a run; what is missing changes no accuracy."""
    tags: dict[str, list[bool]] = {}
    prompts: dict[int, list[bool]] = {}
    for outcome in outcomes:
        tags.setdefault(outcome.tag, []).append(outcome.correct)
        prompts.setdefault(outcome.prompt_index, []).append(outcome.correct)
    accuracies = [sum(correct) / len(correct) for correct in tags.values()]
    return Summary(
        num_images=len(outcomes),
        num_prompts=len(prompts),
        image_accuracy=_share([outcome.correct for outcome in outcomes]),
        prompt_accuracy=_share([any(correct) for correct in prompts.values()]),
        tags={tag: (sum(correct), len(correct)) for tag, correct in tags.items()},
        overall=sum(accuracies) / len(accuracies) if accuracies else None,
    )


def _share(correct: Sequence[bool]) -> float | None:
    return sum(correct) / len(correct) if correct else None


def overall_fixed(outcomes: Sequence[Outcome], tags: Sequence[str]) -> float | None:
    """Returns the mean over tags of the mean over prompts of the share of correct pictures.

    Every prompt has one vote, whatever the number of its pictures, and the score exists only when every tag
    of the benchmark is present.

    Args:
        outcomes: of the pictures judged.
        tags: all tags of the benchmark.
    """
    prompts: dict[str, dict[int, list[bool]]] = {tag: {} for tag in tags}
    for outcome in outcomes:
        prompts[outcome.tag].setdefault(outcome.prompt_index, []).append(outcome.correct)
    if not all(prompts.values()):
        return None
    means = [
        sum(sum(correct) / len(correct) for correct in group.values()) / len(group)
        for group in prompts.values()
    ]
    return sum(means) / len(means)


def reference_report(summary: Summary) -> list[str]:
    """Returns the lines that the published summary prints.

    Args:
        summary: of at least one picture.
    """
    assert summary.image_accuracy is not None
    assert summary.prompt_accuracy is not None
    assert summary.overall is not None
    width = max(len(tag) for tag in summary.tags)
    width = max(width, _TAG_WIDTH)
    return [
        "Summary",
        "=======",
        f"Total images: {summary.num_images}",
        f"Total prompts: {summary.num_prompts}",
        f"% correct images: {summary.image_accuracy:.2%}",
        f"% correct prompts: {summary.prompt_accuracy:.2%}",
        "",
        "Task breakdown",
        "==============",
        *(
            f"{tag:<{width}} = {correct / total:.2%} ({correct} / {total})"
            for tag, (correct, total) in summary.tags.items()
        ),
        "",
        f"Overall score (avg. over tasks): {summary.overall:.5f}",
        "",
    ]


_TAG_WIDTH = 16
