"""Prompts to padded token ids with a released `tokenizer.json`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from i1_hooks import UserError

TOKENIZER_FILE = "tokenizer.json"
_logger = logging.getLogger(__name__)


class PromptTokenizer:
    """Encodes prompts between fixed tokens, truncated to a budget and padded on the right.

    Only the prompt is truncated; the fixed tokens always stay. What is lost is logged as a warning.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        num_tokens: the budget T for `before`, prompt and `after` together.
        before: token ids before the prompt.
        after: token ids after it.
        pad_id: fills the row.
        lower_case: whether the prompt is lower-cased first.
        dropped: token ids before all others, on top of the budget, whose embeddings are not kept.
        truncation: whether a prompt that exceeds the budget is truncated; otherwise it is an error.

    Raises:
        UserError: when the budget has no room for the fixed tokens and one token of the prompt.
    """

    def __init__(
        self,
        tokenizer: Any,
        num_tokens: int,
        *,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
        pad_id: int = 0,
        lower_case: bool = False,
        dropped: Sequence[int] = (),
        truncation: bool = True,
    ) -> None:
        self.tokenizer = tokenizer
        self.num_tokens = num_tokens
        self.before, self.after, self.pad_id = list(before), list(after), pad_id
        self.lower_case = lower_case
        self.dropped = list(dropped)
        self.truncation = truncation
        fixed = len(self.before) + len(self.after)
        self.room = num_tokens - fixed
        if self.room < 1:
            raise UserError(
                f"num_tokens {num_tokens} leaves no room for a prompt besides {fixed} fixed tokens: "
                "use a larger num_tokens"
            )

    def __call__(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns `ids` (B, T) int32, `mask` (B, T) bool and, when there are any, `dropped` (B, D) int32.

        Raises:
            UserError: for a prompt that exceeds the budget, without truncation.
        """
        ids = np.full((len(prompts), self.num_tokens), self.pad_id, np.int32)
        mask = np.zeros(ids.shape, bool)
        lost = []
        texts = [prompt.lower() if self.lower_case else prompt for prompt in prompts]
        encodings = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        for row, encoding in enumerate(encodings):
            lost.append(max(0, len(encoding.ids) - self.room))
            if lost[-1] and not self.truncation:
                raise UserError(
                    f"prompt {shorten(prompts[row])!r} has {len(encoding.ids)} tokens, the text encoder "
                    f"takes at most {self.room}: shorten it, set num_tokens higher, or set truncation=true "
                    "to cut it"
                )
            row_ids = [*self.before, *encoding.ids[: self.room], *self.after]
            ids[row, : len(row_ids)] = row_ids
            mask[row, : len(row_ids)] = True
        warn_truncated(prompts, lost, self.num_tokens)
        tokens = {"ids": ids, "mask": mask}
        if self.dropped:
            tokens["dropped"] = np.tile(np.array(self.dropped, np.int32), (len(prompts), 1))
        return tokens


def warn_truncated(prompts: Sequence[str], lost: Sequence[int], num_tokens: int) -> None:
    """Logs a warning when prompts lost tokens.

    Args:
        prompts: the texts.
        lost: number of tokens that each of them lost.
        num_tokens: the budget.
    """
    cut = [row for row, count in enumerate(lost) if count]
    if cut:
        worst = max(cut, key=lambda row: lost[row])
        _logger.warning(
            "%d of %d prompts cut to %d tokens; most was lost, %d tokens, by %r",
            len(cut),
            len(prompts),
            num_tokens,
            lost[worst],
            shorten(prompts[worst]),
        )


def shorten(prompt: str, longest: int = 80) -> str:
    """Returns a prompt as a message shows it, cut to a number of characters."""
    return prompt if len(prompt) <= longest else f"{prompt[: longest - 3]}..."


def read_tokenizer(folder: Path) -> Any:
    """Returns the `tokenizers.Tokenizer` of a folder, without its own truncation and padding.

    Raises:
        UserError: without the package `tokenizers`, or when `tokenizer.json` is absent or broken.
    """
    try:
        from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise UserError(
            "pretrained text encoders need the package tokenizers: pip install 'i1-model[text]'"
        ) from error
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise UserError(f"{folder} has no {TOKENIZER_FILE}: download it from where the weights came from")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise UserError(f"{path} is truncated or not a tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
