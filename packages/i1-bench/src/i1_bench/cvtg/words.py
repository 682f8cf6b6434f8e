"""The words that a prompt asks for, and the words read in its picture."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_QUOTED = re.compile(r"'(.*?)'")
_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The words of one picture.

    Attributes:
        total: words asked for.
        correct: those among them that were read.
        similarities: for each, the similarity with the closest word read, 0 to 1.
    """

    total: int
    correct: int
    similarities: tuple[float, ...]


def wanted_words(prompt: str) -> list[str]:
    """Returns the lower-case words between straight single quotes in the original prompt.

    Example:
        >>> wanted_words("a sign 'Open Now' and a bin 'Trash'")
        ['open', 'now', 'trash']
    """
    return [word for text in _QUOTED.findall(prompt) for word in text.lower().split()]


def read(wanted: Sequence[str], lines: Sequence[str] | None, *, fixed: bool = False) -> Reading:
    """Compares the words wanted with the lines that an OCR engine returned.

    A word is correct when it is among the words read: any number of times, in any order, with any others.

    Args:
        wanted: of `wanted_words`.
        lines: what was read; None when the engine failed, which makes all words wrong.
        fixed: a word that is wanted twice must be read twice.
    """
    if lines is None:
        return Reading(total=len(wanted), correct=0, similarities=(0.0,) * len(wanted))
    words = [word for line in lines for word in line.lower().split()]
    found = words or [""]
    correct = sum(word in found for word in wanted)
    if fixed:
        correct = (Counter(wanted) & Counter(found)).total()
    return Reading(
        total=len(wanted),
        correct=correct,
        similarities=tuple(edit_similarity(word, closest(word, found)) for word in wanted),
    )


def closest(word: str, candidates: Sequence[str]) -> str:
    """Returns the candidate with the largest `difflib` ratio; equal ratios go to the larger string."""
    return difflib.get_close_matches(word, candidates, n=1, cutoff=0)[0]


def edit_similarity(a: str, b: str) -> float:
    """Returns `1 - Levenshtein(a, b) / (length of the longer + 1e-5)`."""
    return 1 - levenshtein(a, b) / (max(len(a), len(b)) + _EPSILON)


def levenshtein(a: str, b: str) -> int:
    """Returns the number of insertions, deletions and substitutions that turn one string into the other.

    Example:
        >>> levenshtein("coffee", "cofee!")
        2
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
