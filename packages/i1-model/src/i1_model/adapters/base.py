"""What an adapter is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from flax import nnx
from i1_hooks import ComponentConfig
from jax import Array
from jaxtyping import Bool, Float


class Adapter(nnx.Module, ABC):
    """A network between one text encoder and the backbone."""

    @abstractmethod
    def __call__(self, tokens: Float[Array, "B T W"], mask: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
        """Maps the output of the text encoder to tokens of the backbone.

        Args:
            tokens: (B, T, text_width) in the compute dtype; also of padded positions.
            mask: (B, T) bool, the valid tokens.

        Returns:
            (B, T, hidden_width) in the dtype of `tokens`; the length is that of `tokens`.
        """


@dataclass(frozen=True, kw_only=True)
class AdapterConfig(ComponentConfig, ABC, kind="adapters"):
    """Base of adapter configurations: subclass it as a frozen keyword-only dataclass.

    Example:
        >>> from dataclasses import dataclass
        >>> from i1_model.layers import Linear
        >>> class LinearAdapterModule(Adapter):
        ...     def __init__(self, text_width, hidden_width, key):
        ...         self.dense = Linear(text_width, hidden_width, key)
        ...
        ...     def __call__(self, tokens, mask):
        ...         return self.dense(tokens)
        >>> @dataclass(frozen=True, kw_only=True)
        ... class LinearAdapter(AdapterConfig):
        ...     def build(self, text_width, hidden_width, key):
        ...         return LinearAdapterModule(text_width, hidden_width, key)
    """

    @abstractmethod
    def build(self, text_width: int, hidden_width: int, key: Array) -> Adapter:
        """Returns the adapter with float32 parameters drawn from `key`.

        It runs under `jax.eval_shape` and `jax.jit`.

        Args:
            text_width: width of the text encoder's output.
            hidden_width: width of the backbone.
            key: random key.
        """
