"""The scenes benchmark from a function that makes pictures, without files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from i1_hooks import UserError
from i1_scenes import vocabulary as v

from i1_bench.benchmarks import Prompt
from i1_bench.judges import Verdict
from i1_bench.scenes.judge import score_image
from i1_bench.scenes.prompt_set import prompts
from i1_bench.statistics import mean_over_groups


def scenes_prompts(images_per_category: int, seed: int, splits: Sequence[str] = v.SPLITS) -> list[Prompt]:
    """Returns the prompts of a run: `images_per_category` of each category, words too, for each split.

    The order is one prompt of every split and category, then the next of each, and so on.
    """
    if images_per_category < 1:
        raise UserError(f"images per category {images_per_category}: expected at least 1")
    groups = [
        prompts(split, category, images_per_category, seed) for split in splits for category in v.CATEGORIES
    ]
    return [group[i] for i in range(images_per_category) for group in groups]


def summarise(asked: Sequence[Prompt], verdicts: Sequence[Verdict], seed: int) -> dict[str, Any]:
    """Returns the scores of a run.

    Returns:
        for each split present `score`, the mean over the object categories, and `categories`; under `words`
        `score`, the mean over the splits, and each split; everywhere with 95% interval and count.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    for prompt, verdict in zip(asked, verdicts, strict=True):
        table, row = (
            (v.WORDS, prompt.split) if prompt.category == v.WORDS else (prompt.split, prompt.category)
        )
        scores.setdefault(table, {}).setdefault(row, []).append(verdict.score)
    order = [table for table in (*v.SPLITS, v.WORDS) if table in scores]
    result = {table: mean_over_groups(scores[table], seed) for table in order}
    if v.WORDS in result:
        result[v.WORDS] |= result[v.WORDS].pop("categories")
    return result


def result_line(prompt: Prompt, verdict: Verdict) -> dict[str, Any]:
    """Returns what is recorded about one picture, JSON-ready."""
    return {
        "prompt": prompt.text,
        "category": prompt.category,
        "split": prompt.split,
        "right": verdict.right,
        "reason": verdict.reason,
        "seen": verdict.seen,
    }


def evaluate(
    generate: Callable[[list[str]], np.ndarray],
    images_per_category: int,
    seed: int,
    splits: Sequence[str] = v.SPLITS,
    *,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Scores a picture-making function.

    Args:
        generate: from at most `batch_size` prompts to pictures, uint8 (number of prompts, 64, 64, 3).
        images_per_category: pictures of each category and split.
        seed: of the prompts and the bootstrap.
        splits: `"seen"`, `"unseen"` or both.
        batch_size: prompts in one call.

    Returns:
        `seen`, `unseen` and `words` as `summarise` gives them, and `results`: one `result_line` per picture.

    Raises:
        UserError: when `generate` returns another number of pictures than it was given prompts.

    Example:
        >>> import numpy as np
        >>> def empty(texts):
        ...     return np.full((len(texts), 64, 64, 3), 230, np.uint8)
        >>> seen = evaluate(empty, images_per_category=1, seed=0)["seen"]
        >>> seen["score"]
        0.0
    """
    asked = scenes_prompts(images_per_category, seed, splits)
    verdicts: list[Verdict] = []
    for start in range(0, len(asked), batch_size):
        batch = asked[start : start + batch_size]
        pictures = generate([prompt.text for prompt in batch])
        if len(pictures) != len(batch):
            raise UserError(f"{len(pictures)} pictures for {len(batch)} prompts: expected one for each")
        verdicts += [
            score_image(np.asarray(picture), prompt.spec)
            for picture, prompt in zip(pictures, batch, strict=True)
        ]
    results = [result_line(prompt, verdict) for prompt, verdict in zip(asked, verdicts, strict=True)]
    return {**summarise(asked, verdicts, seed), "results": results}
