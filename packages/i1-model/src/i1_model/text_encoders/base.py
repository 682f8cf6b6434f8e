"""What a text encoder is: host-side tokens, then a pure function from tokens to embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    import jax
    import numpy as np

    from i1_model.arrays.loading import Progress, Sharding

Tokens = Mapping[str, "jax.Array | np.ndarray"]
"""Arrays with a leading batch dimension, at least `ids` (B, T) and `mask` (B, T) bool (True: valid)."""


class TextEncoderConfig(ComponentConfig, kind="text_encoders"):
    """Base of every text encoder's configuration.

    Attributes:
        num_tokens: the token budget T; every prompt is padded to it.
        width: channels W of one token's embedding.
    """

    num_tokens: int
    width: int

    def build(self) -> TextEncoder:
        """Returns the encoder, with its frozen arrays loaded."""
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")

    def build_with(
        self, *, sharding: Sharding | None = None, progress: Progress | None = None
    ) -> TextEncoder:
        """Returns the encoder as `build` does, its arrays where they are wanted.

        By default that is `build`; an encoder whose weights are files overrides it.

        Args:
            sharding: where each array goes; None is the default device.
            progress: told how far reading is.
        """
        del sharding, progress
        return self.build()

    def build_abstract(self) -> TextEncoder:
        """Returns the encoder with shapes in place of arrays, enough to trace `encode`.

        By default that is `build`; an encoder whose weights are files overrides it, so that a step can be
        compiled without them.
        """
        return self.build()


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen encoder; safe to call from several threads."""

    @property
    def params(self) -> Any:
        """The frozen arrays, a pytree; empty for an encoder without weights."""
        ...

    def tokenize(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Turns prompts into padded arrays, on the host and without jax.

        Returns:
            `ids` (B, T), `mask` (B, T) bool, and whatever else `encode` reads, each with leading dimension B.

        Raises:
            UserError: for a prompt that this encoder cannot represent.
        """
        ...

    def encode(self, params: Any, tokens: Tokens) -> jax.Array:
        """Embeds tokens; pure, jittable, each row independent of the others.

        Args:
            params: the encoder's `params`.
            tokens: what `tokenize` returned.

        Returns:
            (B, T, W) float32.
        """
        ...
