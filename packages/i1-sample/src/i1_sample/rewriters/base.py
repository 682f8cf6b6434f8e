"""What a rewriter is, with the one that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from i1_hooks import ComponentConfig


class RewriterConfig(ComponentConfig, kind="rewriters"):
    """Base of every rewriter; the configuration is the rewriter."""

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """Returns one prompt per given prompt, in order.

        Args:
            prompts: as the user wrote them.

        Raises:
            UserError: when a prompt cannot be rewritten; there is no silent return to the original.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define rewrite()")


@dataclass(frozen=True, kw_only=True)
class NoRewriter(RewriterConfig):
    """Leaves prompts as they are."""

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """Returns the prompts."""
        return list(prompts)
