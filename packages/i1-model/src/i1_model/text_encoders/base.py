"""What a text encoder is: prompts to tokens on the host, then a pure function from tokens to embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from i1_hooks import ComponentConfig

from i1_model.frozen import FrozenPart

if TYPE_CHECKING:
    import jax
    import numpy as np
    from jaxtyping import Float

Tokens = Mapping[str, "jax.Array | np.ndarray"]
"""Arrays with leading axis B, at least `ids` (B, T) and `mask` (B, T) bool (True: valid)."""


class TextEncoderConfig(ComponentConfig, FrozenPart["TextEncoder"], kind="text_encoders"):
    """Base of the configurations of text encoders.

    Attributes:
        num_tokens: the token budget T; every prompt is padded to it.
        width: channels W of one token's embedding.
    """

    num_tokens: int
    width: int


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen encoder; several threads may call it at once."""

    @property
    def params(self) -> Any:
        """The frozen arrays, a pytree; empty for an encoder without arrays."""
        ...

    def tokenize(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Turns prompts into padded arrays, on the host and without jax.

        Returns:
            `ids` (B, T), `mask` (B, T) bool, and anything else that `encode` reads, each with leading axis B.

        Raises:
            UserError: for a prompt that this encoder cannot represent.
        """
        ...

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds tokens; a pure function for `jax.jit`, whose rows do not depend on each other.

        Args:
            params: the encoder's `params`.
            tokens: what `tokenize` returned.

        Returns:
            (B, T, W) float32.
        """
        ...
