"""The matrix operations of a training step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_model.ops.flops import count_flops
from jaxtyping import PyTree

from i1_train.config import TrainConfig
from i1_train.parameters import Params
from i1_train.parts import Parts
from i1_train.state import Constants, Tokens
from i1_train.step import encode_captions, to_float


def step_flops(config: TrainConfig, parts: Parts, constants: Constants) -> float:
    """Counts the matrix operations of a step: the encoders once, the denoiser three times.

    The backward pass of the denoiser takes twice the operations of its forward pass. What a step recomputes
    to save memory, and everything but matrix products and convolutions, does not count.
    """
    size = config.batch_size
    tokens = jax.tree.map(lambda array: np.repeat(array, size, axis=0), parts.tokenize(["a"]))
    image = jax.ShapeDtypeStruct((size, config.model.resolution, config.model.resolution, 3), jnp.uint8)

    def encode(constants: Constants, image: jax.Array, tokens: tuple[Tokens, ...]) -> PyTree:
        latents = parts.autoencoder.encode(constants["autoencoder"], to_float(image), None)
        return latents, *encode_captions(parts, constants["text"], tokens)

    def denoise(params: Params, inputs: PyTree) -> jax.Array:
        latents, captions, masks = inputs
        time = jnp.zeros(latents.shape[:1], jnp.float32)
        return parts.network.denoiser(params)(latents, time, captions, masks)

    inputs = jax.eval_shape(encode, constants, image, tokens)
    return count_flops(encode, constants, image, tokens) + 3 * count_flops(
        denoise, parts.network.shapes, inputs
    )
