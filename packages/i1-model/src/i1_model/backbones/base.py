"""What a backbone is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
from flax import nnx
from i1_hooks import ComponentConfig, UserError
from jax import Array


@dataclass(frozen=True, kw_only=True)
class LatentSpec:
    """The sizes that a backbone is built for.

    Attributes:
        height: rows of the latent.
        width: columns of the latent.
        channels: channels of the latent.
        resolution: pixels along an edge of the decoded image; positions are scaled by 256 / resolution.
        num_text_tokens: tokens of all text encoders together.
    """

    height: int
    width: int
    channels: int
    resolution: int
    num_text_tokens: int


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What a batch of captions gives a backbone; made once and read at every sampling step.

    The first axis of every array is the batch, so that two of them can be joined with `jax.tree.map`.

    Attributes:
        tokens: (B, L, hidden_width), the adapted text.
        mask: (B, L) bool, its valid tokens.
        computed: whatever else the backbone computes from the text alone, by name; values are pytrees.
    """

    tokens: Array
    mask: Array
    computed: Mapping[str, Any] = field(default_factory=dict)

    def adding(self, **computed: Any) -> Conditioning:
        """Returns the same with more computed values."""
        return replace(self, computed={**self.computed, **computed})


class Backbone(nnx.Module, ABC):
    """A network that predicts the flow target from noisy latents, time and text."""

    def condition(self, tokens: Array, mask: Array) -> Conditioning:
        """Returns all that depends on the text alone; override it to move work out of the sampling loop.

        Args:
            tokens: (B, L, hidden_width), adapted text in the compute dtype.
            mask: (B, L) bool.
        """
        return Conditioning(tokens=tokens, mask=mask)

    def set_size(self, height: int, width: int) -> None:
        """Changes the size of the latents that this module is for; only positions change.

        Args:
            height: rows of the latent.
            width: columns of the latent.

        Raises:
            UserError: for a size that does not fit, or a backbone that is made for one size alone.
        """
        raise UserError(
            f"{type(self).__name__} is made for one size of pictures and cannot take {height}x{width}"
        )

    @abstractmethod
    def __call__(self, latents: Array, time: Array, conditioning: Conditioning) -> Array:
        """Predicts the flow target.

        Args:
            latents: (B, H, W, C) in the compute dtype.
            time: (B,) float32, 0 noise to 1 data.
            conditioning: what `condition` returned.

        Returns:
            (B, H, W, C) float32.
        """


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(ComponentConfig, ABC, kind="backbones"):
    """Base of backbone configurations: subclass it as a frozen keyword-only dataclass.

    Attributes:
        hidden_width: width of the tokens; adapters map text to it.
    """

    hidden_width: int

    @abstractmethod
    def build(self, spec: LatentSpec, key: Array) -> Backbone:
        """Returns the backbone with float32 parameters drawn from `key`; it runs under `jax.eval_shape` and
        `jax.jit`.

        Raises:
            UserError: for sizes that do not fit together.
        """
