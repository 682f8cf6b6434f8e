"""The conformance suite of text encoders."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_hooks.testing import ComponentSuite

from i1_model.text_encoders import TextEncoder, TextEncoderConfig


class TextEncoderSuite(ComponentSuite[TextEncoderConfig]):
    """What every text encoder must do; subclass it in a test file.

    Attributes:
        prompts: the texts of the checks, each with embeddings of its own.

    Example:
        class TestMine(TextEncoderSuite):
            component = MyEncoder(num_tokens=16)
    """

    prompts: tuple[str, ...] = ("a red circle", 'the word "CAT" in blue, please', "two stars")

    def test_build_satisfies_the_protocol(self) -> None:
        """`build()` returns an object with `params`, `tokenize` and `encode`."""
        built = self.component.build()
        assert isinstance(built, TextEncoder), f"build() returned {built!r}: no params, tokenize and encode"

    def test_the_abstract_encoder_has_the_same_shapes(self) -> None:
        """`build_abstract()` gives parameters of the same structure and shapes as `build()`."""
        real, abstract = self.component.build(), self.component.build_abstract()
        assert isinstance(abstract, TextEncoder), f"build_abstract() returned {abstract!r}"
        shapes = [jax.tree.map(jnp.shape, encoder.params) for encoder in (real, abstract)]
        assert shapes[0] == shapes[1], f"build() has parameters {shapes[0]}, build_abstract() {shapes[1]}"

    def test_tokens_are_padded_host_arrays(self) -> None:
        """`tokenize` gives numpy arrays with one row per prompt: `ids` and a bool `mask`, (B, num_tokens)."""
        tokens = self.component.build().tokenize(self.prompts)
        batch = (len(self.prompts), self.component.num_tokens)
        for name, value in tokens.items():
            assert isinstance(value, np.ndarray), f"{name} is {type(value).__name__}, expected a numpy array"
            assert len(value) == batch[0], f"{name} has {len(value)} rows for {batch[0]} prompts"
        for name in ("ids", "mask"):
            assert name in tokens, f"tokenize returned {', '.join(tokens)}, without {name}"
            assert tokens[name].shape == batch, f"{name} has shape {tokens[name].shape}, expected {batch}"
        assert tokens["mask"].dtype == bool, f"the mask is {tokens['mask'].dtype}, expected bool"
        assert tokens["mask"].any(axis=1).all(), "a prompt with words has no token inside its mask"

    def test_tokenizing_is_deterministic(self) -> None:
        """Equal prompts give equal tokens, from any instance."""
        first, second = (self.component.build().tokenize(self.prompts) for _ in range(2))
        for name, value in first.items():
            message = f"two calls gave different {name}"
            np.testing.assert_array_equal(value, second[name], err_msg=message)

    def test_embeddings_have_the_stated_shape_under_jit(self) -> None:
        """`encode` gives finite float32 embeddings (B, num_tokens, width)."""
        encoder = self.component.build()
        embeddings = jax.jit(encoder.encode)(encoder.params, encoder.tokenize(self.prompts))
        shape = (len(self.prompts), self.component.num_tokens, self.component.width)
        found, expected = f"{embeddings.dtype} {embeddings.shape}", f"float32 {shape}"
        assert found == expected, f"encode returned {found}, expected {expected}"
        assert bool(jnp.isfinite(embeddings).all()), "embeddings are not finite"

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        """The embeddings of a prompt are the same, alone or in a batch."""
        encoder = self.component.build()
        together = encoder.encode(encoder.params, encoder.tokenize(self.prompts))
        for row, prompt in enumerate(self.prompts):
            alone = encoder.encode(encoder.params, encoder.tokenize([prompt]))
            message = f"{prompt!r} has other embeddings alone than in a batch"
            np.testing.assert_allclose(alone[0], together[row], atol=1e-5, err_msg=message)

    def test_prompts_have_different_embeddings(self) -> None:
        """Different prompts have different embeddings."""
        encoder = self.component.build()
        embeddings = np.asarray(encoder.encode(encoder.params, encoder.tokenize(self.prompts)))
        for i in range(len(embeddings)):
            for j in range(i):
                moved = np.abs(embeddings[i] - embeddings[j]).max()
                pair = f"{self.prompts[j]!r} and {self.prompts[i]!r}"
                assert moved > 1e-3, f"the embeddings of {pair} differ by {moved:.1e} only"

    def test_a_refused_prompt_is_a_user_error(self) -> None:
        """A prompt that is empty or too long is cut or padded, or refused by a `UserError` with the limit."""
        encoder, limit = self.component.build(), self.component.num_tokens
        for prompt in ("", "word " * (limit + 1)):
            try:
                tokens = encoder.tokenize([prompt])
            except UserError as error:
                assert str(limit) in str(error), f"the refusal does not name the limit {limit}: {error}"  # noqa: PT017 (either outcome is allowed)
            else:
                shape = tokens["ids"].shape
                assert shape == (1, limit), (
                    f"ids of {prompt[:20]!r} have shape {shape}, expected {(1, limit)}"
                )
