"""The conformance suite of rewriters."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from i1_hooks import from_dict, to_dict

from i1_sample.rewriters import RewriterConfig


class RewriterSuite:
    """What every rewriter must do; subclass it in a test file.

    Example:
        class TestMine(RewriterSuite):
            rewriter = MyRewriter()
    """

    rewriter: RewriterConfig
    prompts: tuple[str, ...] = ("a red circle", 'the word "CAT"')
    checks_json: bool = True
    """Whether the component is registered, so that its configuration must survive JSON."""

    def test_config_survives_json(self) -> None:
        if self.checks_json:
            assert from_dict(RewriterConfig, to_dict(self.rewriter)) == self.rewriter

    def test_one_text_per_prompt_in_order(self) -> None:
        rewritten = self.rewriter.rewrite(self.prompts)
        assert isinstance(rewritten, list)
        assert len(rewritten) == len(self.prompts)
        assert all(isinstance(text, str) and text.strip() for text in rewritten)

    def test_an_empty_prompt_stays_empty_for_the_encoder_to_refuse(self) -> None:
        assert self.rewriter.rewrite([""]) == [""]
