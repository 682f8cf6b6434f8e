"""Prompt expansion before encoding."""

from i1_sample.rewriters.base import NoRewriter, RewriterConfig

__all__ = ["NoRewriter", "RewriterConfig"]
