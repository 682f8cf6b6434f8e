"""Scores of the answers to a graph of yes-or-no questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from i1_bench.dpg.questions import Question

Answers = Mapping[int, str]
"""The judge's answers about one picture, by question number."""


@dataclass(frozen=True, kw_only=True)
class ItemScore:
    """The score of one prompt.

    Attributes:
        pictures: the score of each picture, 0 to 1.
        mean: their mean.
        raw: 1 or 0 for each question and picture, before the zeroing of dependent questions.
    """

    pictures: tuple[float, ...]
    mean: float
    raw: tuple[Mapping[int, float], ...]


def is_yes(answer: str, *, fixed: bool = False) -> bool:
    """Tells whether an answer counts: exactly `yes`.

    Args:
        answer: of the judge.
        fixed: also takes other cases, blanks and a full stop around it.
    """
    return (answer.strip().rstrip(".").lower() if fixed else answer) == "yes"


def score_item(
    questions: Sequence[Question], answers: Sequence[Answers], *, fixed: bool = False
) -> ItemScore:
    """Returns the score of a prompt: the mean over its pictures of the share of questions that hold.

    A question whose parent does not hold does not hold either. Questions are visited in file order, so that a
    child listed before its parent sees the parent's own answer.

    Args:
        questions: of the prompt, in file order.
        answers: for each picture.
        fixed: visits parents before their children, and takes any spelling of yes.

    Raises:
        KeyError: the number of a parent that is not among the questions.
    """
    raws = [{q.number: float(is_yes(given[q.number], fixed=fixed)) for q in questions} for given in answers]
    pictures = tuple(_picture_score(questions, raw, fixed=fixed) for raw in raws)
    return ItemScore(pictures=pictures, mean=sum(pictures) / len(pictures), raw=tuple(raws))


def _picture_score(questions: Sequence[Question], raw: Mapping[int, float], *, fixed: bool) -> float:
    scores = dict(raw)
    laps = len(questions) if fixed else 1
    for _ in range(laps):
        for question in questions:
            if any(scores[parent] == 0 for parent in question.parents):
                scores[question.number] = 0.0
    return sum(scores.values()) / len(scores)


@dataclass(frozen=True, kw_only=True)
class RunScore:
    """The scores of a run, 0 to 100.

    Attributes:
        score: the mean over prompts; None when there is none.
        categories: the share of questions that hold, by broad category.
        details: the same by detailed category.
        items: the score of each prompt.
        failed: prompts that could not be scored, each with the reason.
    """

    score: float | None
    categories: dict[str, float]
    details: dict[str, float]
    items: dict[str, ItemScore]
    failed: dict[str, str]


def score_run(
    questions: Mapping[str, Sequence[Question]],
    answers: Mapping[str, Sequence[Answers]],
    *,
    fixed: bool = False,
) -> RunScore:
    """Returns the scores of a run.

    The published categories use the raw answers about the last picture of each prompt alone. A prompt with an
    unknown id, or a question that depends on an unknown question, is left out.

    Args:
        questions: of every item.
        answers: for each item that was judged, the answers about each of its pictures.
        fixed: takes the categories from all pictures, and see `score_item`.
    """
    items: dict[str, ItemScore] = {}
    failed: dict[str, str] = {}
    categories: dict[str, list[float]] = {}
    details: dict[str, list[float]] = {}
    for item, given in answers.items():
        if item not in questions:
            failed[item] = f"no questions about {item}"
            continue
        try:
            score = score_item(questions[item], given, fixed=fixed)
        except KeyError as error:
            failed[item] = f"a question depends on question {error.args[0]}, which is not there"
            continue
        items[item] = score
        for raw in score.raw if fixed else score.raw[-1:]:
            for question in questions[item]:
                categories.setdefault(question.broad_category, []).append(raw[question.number])
                details.setdefault(question.category, []).append(raw[question.number])
    return RunScore(
        score=100 * sum(score.mean for score in items.values()) / len(items) if items else None,
        categories={name: 100 * sum(raw) / len(raw) for name, raw in categories.items()},
        details={name: 100 * sum(raw) / len(raw) for name, raw in sorted(details.items())},
        items=items,
        failed=failed,
    )
