"""Rewriting by a fixed sentence around the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from i1_hooks import UserError

from i1_sample.rewriters.base import RewriterConfig


@dataclass(frozen=True, kw_only=True)
class TemplateRewriter(RewriterConfig):
    """Puts every prompt into one template.

    Attributes:
        template: text in which each `{prompt}` is replaced; it must occur.
    """

    template: str = "a picture of {prompt}"

    def __post_init__(self) -> None:
        if "{prompt}" not in self.template:
            raise UserError(f"rewriter 'template': {self.template!r} must contain {{prompt}}")

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """Returns the filled templates; an empty prompt stays empty, for the encoder to refuse."""
        return [self.template.replace("{prompt}", prompt) if prompt.strip() else prompt for prompt in prompts]
