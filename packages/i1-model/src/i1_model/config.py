"""The configuration of a whole model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i1_hooks import UserError

from i1_model.adapters.base import AdapterConfig
from i1_model.autoencoders import AutoencoderConfig
from i1_model.backbones.base import BackboneConfig, LatentSpec
from i1_model.flow import FlowConfig
from i1_model.layers.limits import MAX_RESOLUTION, check_size
from i1_model.text_encoders import TextEncoderConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The configuration of a model: everything that decides what it computes.

    Attributes:
        backbone: predicts the flow target.
        adapter: maps the text to the backbone; every text encoder has an adapter with its own parameters.
        text_encoders: one or several; their tokens are concatenated after the adapters.
        autoencoder: between pixels and latents.
        flow: interpolant, training times and prediction target.
        resolution: pixels along an edge of the square image.
        null_caption_prob: probability in training that the captions of an example are replaced by the
            learnable null captions: one number for a draw that all encoders share, or one number per encoder
            for independent draws.
        compute_dtype: dtype of activations and matrix products. Norms, softmax, time, output and parameters
            are float32.

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
        check_size("model.backbone.hidden_width", self.backbone.hidden_width)
        check_size("model.backbone.patch_size", self.backbone.patch_size)
        check_size("model.autoencoder.channels", self.autoencoder.channels)
        check_size("model.autoencoder.factor", self.autoencoder.factor)
        check_size("model.resolution", self.resolution, largest=MAX_RESOLUTION)
        for encoder in self.text_encoders:
            check_size("num_tokens of a text encoder", encoder.num_tokens)
            check_size("width of a text encoder", encoder.width)
        if self.resolution % self.autoencoder.factor:
            raise UserError(
                f"model.resolution {self.resolution}: use a multiple of the autoencoder's factor "
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
        """The pixels along the edge of a patch; both sides of every picture are multiples of it."""
        return self.autoencoder.factor * self.backbone.patch_size

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
