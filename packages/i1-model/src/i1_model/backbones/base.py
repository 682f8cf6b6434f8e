"""What a backbone is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import jax
from flax import nnx
from i1_hooks import ComponentConfig, UserError
from jax import Array
from jaxtyping import Bool, Float


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
    """What a backbone gets from the captions of a batch: computed once and read at every sampling step.

    A backbone that computes more from the text subclasses it, with one field per value, and registers the
    subclass with `jax.tree_util.register_dataclass`. The first axis of every array is the batch, so that two
    of them can be joined with `jax.tree.map`.

    Attributes:
        tokens: (B, L, hidden_width), the adapted text.
        mask: (B, L) bool, its valid tokens.
    """

    tokens: Array
    mask: Array


ConditioningT = TypeVar("ConditioningT", bound=Conditioning)


class Backbone(nnx.Module, ABC, Generic[ConditioningT]):
    """A network that predicts the flow target from noisy latents, time and text."""

    def condition(self, tokens: Float[Array, "B L W"], mask: Bool[Array, "B L"]) -> ConditioningT:
        """Returns everything that depends on the text alone.

        Override it to move work out of the sampling loop.

        Args:
            tokens: (B, L, hidden_width), adapted text in the compute dtype.
            mask: (B, L) bool.
        """
        return cast("ConditioningT", Conditioning(tokens=tokens, mask=mask))

    def set_size(self, height: int, width: int) -> None:
        """Changes the size of the latents that this module takes; only positions change.

        It is called while tracing, on a module that the same function has just merged, and only for a size
        that the module does not have yet. Without an override a backbone has one size.

        Args:
            height: rows of the latent.
            width: columns of the latent.

        Raises:
            UserError: for a size that does not fit, or a backbone that has one size only.
        """
        raise UserError(
            f"{type(self).__name__} is made for one size of pictures and cannot take {height}x{width}: use "
            "the size it was built for, or give it a method set_size(height, width)"
        )

    @abstractmethod
    def __call__(
        self, latents: Float[Array, "B H W C"], time: Float[Array, " B"], conditioning: ConditioningT
    ) -> Float[Array, "B H W C"]:
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
        patch_size: rows and columns of the latent that a token covers; both sides of every latent are
            multiples of it. A backbone that takes latents of any size keeps the default 1.
    """

    hidden_width: int
    patch_size: int = 1

    @property
    def ignores_padding(self) -> bool:
        """Whether text tokens that the mask leaves out can be dropped from the end without any effect."""
        return False

    @abstractmethod
    def build(self, spec: LatentSpec, key: Array) -> Backbone:
        """Returns the backbone with float32 parameters drawn from `key`.

        It runs under `jax.eval_shape` and `jax.jit`.

        Raises:
            UserError: for sizes that do not fit together.
        """
