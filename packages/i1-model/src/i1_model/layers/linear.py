"""The affine map over the last axis."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.layers.low_rank import LowRank
from i1_model.layers.quantized import QuantizedKernel
from i1_model.ops.matmul import add_bias, product

LECUN_NORMAL = jax.nn.initializers.lecun_normal()
XAVIER_UNIFORM = jax.nn.initializers.xavier_uniform()


class Linear(nnx.Module):
    """`y = x W + b` over the last axis, computed in the dtype of `x`.

    Args:
        in_width: size of the last axis of the input.
        out_width: size of the last axis of the output.
        key: random key of the initialiser.
        init: initialiser of `kernel` (in, out); the bias starts at zero. Parameters are float32.

    Attributes:
        kernel: (in, out).
        bias: (out,).
        lora: what is added while fine-tuning, see `i1_model.lora`; None otherwise.
    """

    kernel: nnx.Param[Array] | QuantizedKernel
    lora: LowRank | None

    def __init__(
        self,
        in_width: int,
        out_width: int,
        key: Array,
        *,
        init: jax.nn.initializers.Initializer = LECUN_NORMAL,
    ) -> None:
        self.kernel = nnx.Param(init(key, (in_width, out_width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))
        self.lora = None

    def __call__(self, x: Array) -> Array:
        """Maps (..., in_width) to (..., out_width)."""
        y = affine(x, self.kernel[...], self.bias[...])
        return y if self.lora is None else y + self.lora(x)

    def product(self, x: Array) -> Array:
        """Does the same without the bias."""
        y = product(x, self.kernel[...])
        return y if self.lora is None else y + self.lora(x)


def affine(x: Array, kernel: Array, bias: Array) -> Array:
    """Returns `x @ kernel + bias` in the dtype of `x`; x (..., I), kernel (I, O), bias (O,)."""
    return add_bias(product(x, kernel), bias)
