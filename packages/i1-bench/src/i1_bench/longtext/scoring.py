"""Words read in a picture against the words that its prompt asks for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SENTINEL = "No text recognized."
"""What the judge says of a picture without text, with the full stop that the published filter expects."""
_LETTERS = "\u4e00-\u9fa5a-zA-Z0-9" + "".join(a + a.upper() for a in "àâäéèêëîïôöùûüç")
_DELETED = {"en": re.compile(rf"[^{_LETTERS}\s]"), "zh": re.compile(rf"[^{_LETTERS}]")}


@dataclass(frozen=True, kw_only=True)
class Match:
    """The words of one picture.

    Attributes:
        matched: truth words found, each as often as it is in both.
        total: truth words.
    """

    matched: int
    total: int


def without_sentinel(reply: str) -> str:
    """Returns a reply without the sentinel, as the published filter leaves it."""
    return reply.replace(SENTINEL, "")


def without_any_sentinel(reply: str) -> str:
    """Returns a reply without the sentinel, with or without its full stop."""
    return re.sub(r"\bno text recognized\b\.?", "", reply, flags=re.IGNORECASE)


def normalise(text: str, mode: str = "en") -> str:
    """Returns a text as it is compared.

    In `en` only Chinese, Latin letters with French and German accents, digits and white space stay; white
    space collapses and letters become lower case. In `zh` white space goes too, and case stays.

    Args:
        text: of the truth or of a reply.
        mode: `"en"` or `"zh"`.
    """
    kept = _DELETED[mode].sub("", text)
    return re.sub(r"\s+", " ", kept).strip().lower() if mode == "en" else kept


def match(truth: Sequence[str], reply: str, mode: str = "en", *, fixed: bool = False) -> Match:
    """Returns how many words (characters in `zh`) of the truth a reply holds, in any order.

    Args:
        truth: the pieces of text that the prompt asks for.
        reply: what the judge read.
        mode: `"en"` or `"zh"`.
        fixed: removes the sentinel in any spelling, and composes accents before foreign characters go.
    """
    wanted = " ".join(truth)
    if fixed:
        wanted, reply = (unicodedata.normalize("NFC", text) for text in (wanted, reply))
        reply = without_any_sentinel(reply)
    else:
        reply = without_sentinel(reply)
    counts = [Counter(_units(normalise(text, mode), mode)) for text in (wanted, reply)]
    return Match(matched=(counts[0] & counts[1]).total(), total=counts[0].total())


def _units(text: str, mode: str) -> Sequence[str]:
    return text.split() if mode == "en" else text


def text_score(matches: Sequence[Match]) -> float | None:
    """Returns matched words over truth words of all pictures together; None without truth words."""
    total = sum(match.total for match in matches)
    return sum(match.matched for match in matches) / total if total else None
