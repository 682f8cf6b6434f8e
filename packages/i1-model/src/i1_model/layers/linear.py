"""The affine map over the last axis."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from i1_model.layers.limits import check_size
from i1_model.layers.low_rank import LowRank
from i1_model.layers.quantized import QuantizedKernel
from i1_model.ops.matmul import add_bias, product

LECUN_NORMAL = jax.nn.initializers.lecun_normal()
XAVIER_UNIFORM = jax.nn.initializers.xavier_uniform()
_MAX_FEATURES = 2**24


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
        lora: the low-rank addition while fine-tuning (see `i1_model.lora`), else None.
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
        check_size("linear in_width", in_width, largest=_MAX_FEATURES)
        check_size("linear out_width", out_width, largest=_MAX_FEATURES)
        self.kernel = nnx.Param(init(key, (in_width, out_width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))
        self.lora = None

    def __call__(self, x: Float[Array, "*S I"]) -> Float[Array, "*S O"]:
        """Maps (..., in_width) to (..., out_width) in the dtype of `x`."""
        y = affine(x, self.kernel[...], self.bias[...])
        return y if self.lora is None else y + self.lora(x)

    def product(self, x: Float[Array, "*S I"]) -> Float[Array, "*S O"]:
        """Maps (..., in_width) to (..., out_width) without adding the bias."""
        y = product(x, self.kernel[...])
        return y if self.lora is None else y + self.lora(x)


def affine(
    x: Float[Array, "*S I"], kernel: Float[Array, "I O"], bias: Float[Array, " O"]
) -> Float[Array, "*S O"]:
    """Returns `x @ kernel + bias` in the dtype of `x`; x (..., I), kernel (I, O), bias (O,)."""
    return add_bias(product(x, kernel), bias)
