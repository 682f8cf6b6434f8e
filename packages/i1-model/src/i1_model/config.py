"""The configuration of a whole model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i1_hooks import UserError

from i1_model.adapters.base import AdapterConfig
from i1_model.autoencoders import AutoencoderConfig
from i1_model.backbones.base import BackboneConfig, LatentSpec
from i1_model.flow import FlowConfig
from i1_model.text_encoders import TextEncoderConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides what a model computes.

    Attributes:
        backbone: predicts the flow target.
        adapter: between each text encoder and the backbone; every encoder has its own parameters.
        text_encoders: one or several; their tokens are concatenated after the adapters.
        autoencoder: between pixels and latents.
        flow: interpolant, training times and prediction target.
        resolution: pixels along an edge of the square image.
        null_caption_prob: probability in training that an example's captions are replaced by the learnable
            null
            captions: one for a draw that all encoders share, or one per encoder for independent draws.
        compute_dtype: of activations and matrix products; norms, softmax, time and the output stay float32,
            and parameters are kept in float32.

    Raises:
        UserError: for parts that do not fit together.
    """

    backbone: BackboneConfig
    adapter: AdapterConfig
    text_encoders: tuple[TextEncoderConfig, ...]
    autoencoder: AutoencoderConfig
    flow: FlowConfig
    resolution: int
    null_caption_prob: float | tuple[float, ...] = 0.1
    compute_dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if not self.text_encoders:
            raise UserError("model.text_encoders is empty: give at least one text encoder")
        if self.resolution < 1 or self.resolution % self.autoencoder.factor:
            raise UserError(
                f"model.resolution {self.resolution}: use a positive multiple of the autoencoder's factor "
                f"{self.autoencoder.factor}"
            )
        probabilities = self.null_caption_prob
        if not isinstance(probabilities, tuple):
            probabilities = (probabilities,)
        elif len(probabilities) != len(self.text_encoders):
            raise UserError(
                f"model.null_caption_prob has {len(probabilities)} values for {len(self.text_encoders)} text "
                "encoders: give one number, or one per encoder"
            )
        if not all(0 <= p <= 1 for p in probabilities):
            raise UserError(
                f"model.null_caption_prob {self.null_caption_prob}: use probabilities from 0 to 1"
            )

    @property
    def size_unit(self) -> int:
        """Pixels that both sides of a picture are multiples of: one patch of the backbone."""
        return self.autoencoder.factor * getattr(self.backbone, "patch_size", 1)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a latent."""
        size = self.resolution // self.autoencoder.factor
        return size, size, self.autoencoder.channels

    @property
    def latent_spec(self) -> LatentSpec:
        """The sizes that the backbone is built for."""
        height, width, channels = self.latent_shape
        return LatentSpec(
            height=height,
            width=width,
            channels=channels,
            resolution=self.resolution,
            num_text_tokens=sum(encoder.num_tokens for encoder in self.text_encoders),
        )
