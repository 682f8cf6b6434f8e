"""The conformance suite of text encoders."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_hooks.testing import ComponentSuite

from i1_model.text_encoders import TextEncoder, TextEncoderConfig


class TextEncoderSuite(ComponentSuite[TextEncoderConfig]):
    """What every text encoder must do; subclass it in a test file.

    Example:
        class TestMine(TextEncoderSuite):
            component = MyEncoder(num_tokens=16)
    """

    prompts: tuple[str, ...] = ("a red circle", 'the word "CAT" in blue, please', "two stars")

    def test_build_satisfies_the_protocol(self) -> None:
        assert isinstance(self.component.build(), TextEncoder)

    def test_the_abstract_encoder_has_the_same_shapes(self) -> None:
        real, abstract = self.component.build(), self.component.build_abstract()
        assert jax.tree.map(jnp.shape, real.params) == jax.tree.map(jnp.shape, abstract.params)
        assert isinstance(abstract, TextEncoder)

    def test_tokens_are_padded_host_arrays(self) -> None:
        tokens = self.component.build().tokenize(self.prompts)
        batch = (len(self.prompts), self.component.num_tokens)
        assert all(isinstance(value, np.ndarray) for value in tokens.values())
        assert tokens["ids"].shape == tokens["mask"].shape == batch
        assert tokens["mask"].dtype == bool
        assert tokens["mask"].any(axis=1).all()
        assert all(len(value) == len(self.prompts) for value in tokens.values())

    def test_tokenizing_is_deterministic(self) -> None:
        first, second = (self.component.build().tokenize(self.prompts) for _ in range(2))
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name], err_msg=name)

    def test_embeddings_have_the_stated_shape_under_jit(self) -> None:
        encoder = self.component.build()
        tokens = encoder.tokenize(self.prompts)
        embeddings = jax.jit(encoder.encode)(encoder.params, tokens)
        assert embeddings.shape == (len(self.prompts), self.component.num_tokens, self.component.width)
        assert embeddings.dtype == jnp.float32
        assert bool(jnp.isfinite(embeddings).all())

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        encoder = self.component.build()
        together = encoder.encode(encoder.params, encoder.tokenize(self.prompts))
        for row, prompt in enumerate(self.prompts):
            alone = encoder.encode(encoder.params, encoder.tokenize([prompt]))
            np.testing.assert_allclose(alone[0], together[row], atol=1e-5)

    def test_prompts_have_different_embeddings(self) -> None:
        encoder = self.component.build()
        embeddings = np.asarray(encoder.encode(encoder.params, encoder.tokenize(self.prompts)))
        for i in range(len(embeddings)):
            for j in range(i):
                assert np.abs(embeddings[i] - embeddings[j]).max() > 1e-3

    def test_a_refused_prompt_is_a_user_error(self) -> None:
        encoder = self.component.build()
        for prompt in ("", "word " * (self.component.num_tokens + 1)):
            try:
                tokens = encoder.tokenize([prompt])
            except UserError as error:
                assert str(self.component.num_tokens) in str(error)  # noqa: PT017 (either outcome is allowed)
            else:
                assert tokens["ids"].shape == (1, self.component.num_tokens)
