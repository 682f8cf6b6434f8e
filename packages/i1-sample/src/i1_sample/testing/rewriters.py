"""The conformance suite of rewriters."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from i1_hooks.testing import ComponentSuite

from i1_sample.rewriters import RewriterConfig


class RewriterSuite(ComponentSuite[RewriterConfig]):
    """What every rewriter must do; subclass it in a test file.

    Example:
        class TestMine(RewriterSuite):
            component = MyRewriter()
    """

    prompts: tuple[str, ...] = ("a red circle", 'the word "CAT"')

    def test_one_text_per_prompt_in_order(self) -> None:
        rewritten = self.component.rewrite(self.prompts)
        assert isinstance(rewritten, list)
        assert len(rewritten) == len(self.prompts)
        assert all(isinstance(text, str) and text.strip() for text in rewritten)

    def test_an_empty_prompt_stays_empty_for_the_encoder_to_refuse(self) -> None:
        assert self.component.rewrite([""]) == [""]
