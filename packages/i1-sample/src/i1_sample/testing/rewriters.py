"""The conformance suite of rewriters."""

from __future__ import annotations

from i1_hooks.testing import ComponentSuite

from i1_sample.rewriters import RewriterConfig


class RewriterSuite(ComponentSuite[RewriterConfig]):
    """What every rewriter must do; subclass it in a test file.

    Attributes:
        prompts: the prompts of the checks.

    Example:
        class TestMine(RewriterSuite):
            component = MyRewriter()
    """

    prompts: tuple[str, ...] = ("a red circle", 'the word "CAT"')

    def test_one_text_per_prompt_in_order(self) -> None:
        """`rewrite` returns a list with one text per prompt, none of them empty."""
        rewritten = self.component.rewrite(self.prompts)
        assert isinstance(rewritten, list), f"rewrite returned {type(rewritten).__name__}, expected a list"
        assert len(rewritten) == len(self.prompts), f"{len(self.prompts)} prompts became {len(rewritten)}"
        for prompt, text in zip(self.prompts, rewritten, strict=True):
            assert isinstance(text, str), f"{prompt!r} became {text!r}, expected a string"
            assert text.strip(), f"{prompt!r} became an empty prompt"

    def test_an_empty_prompt_stays_empty_for_the_encoder_to_refuse(self) -> None:
        """An empty prompt stays empty, so that the text encoder can refuse it."""
        rewritten = self.component.rewrite([""])
        assert rewritten == [""], f"an empty prompt became {rewritten!r}"
