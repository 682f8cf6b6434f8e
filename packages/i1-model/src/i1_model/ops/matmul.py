"""The matrix product of a layer.

On a CPU, XLA multiplies bfloat16 numbers as such, at up to twice the speed of float32 ones, only where the
result is asked for in float32, the left operand's terms lie last, and a transposed operand has a leading
axis; other products it converts to float32. So bfloat16 products ask for float32, and round, on a CPU,
forward and backward. Other platforms sum in float32 whatever is asked for.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import dot_general

from i1_model.ops.sharding import active_mesh, shard_before_gather
from i1_model.ops.target import active_platform

WIDTH = 16
"""Products of fewer rows, columns or terms are left to the compiler, which may have no kernel for them."""


def product(x: Array, kernel: Array) -> Array:
    """Returns `x @ kernel` in the dtype of `x`, to which the kernel is cast; x (..., I), kernel (I, O)."""
    kernel = shard_before_gather(kernel.astype(x.dtype))
    if not multiplies_bfloat16(x) or min(x.size // x.shape[-1], *kernel.shape) < WIDTH:
        return jnp.dot(x, kernel)
    return _rounded(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def multiplies_bfloat16(x: Array) -> bool:
    """Returns whether products of `x` are bfloat16 products on a single CPU device."""
    return x.dtype == jnp.bfloat16 and active_platform() == "cpu" and active_mesh() is None


def add_bias(y: Array, bias: Array) -> Array:
    """Returns `y + bias` in the dtype of `y`; y (..., O), bias (O,)."""
    bias = bias.astype(y.dtype)
    return _biased(y, bias) if multiplies_bfloat16(y) else y + last_axis(bias, y.ndim)


def last_axis(vector: Array, ndim: int) -> Array:
    """Returns a vector (W,) with `ndim` axes, of which the last has size W, for explicit broadcasting."""
    return vector.reshape((1,) * (ndim - 1) + vector.shape)


def sum_over_rows(x: Array) -> Array:
    """Sums (..., W) over all but the last axis, as a matrix product.

    Eight equal rows keep a compiler from undoing the product.
    """
    leading = tuple(range(x.ndim - 1))
    ones = jnp.ones((8, *x.shape[:-1]), x.dtype)
    numbers = ((tuple(dim + 1 for dim in leading), leading), ((), ()))
    return dot_general(ones, x, numbers, preferred_element_type=jnp.float32)[0].astype(x.dtype)


@jax.custom_vjp
def _biased(y: Array, bias: Array) -> Array:
    return y + last_axis(bias, y.ndim)


_biased.defvjp(lambda y, bias: (_biased(y, bias), None), lambda _, grad: (grad, sum_over_rows(grad)))


@jax.custom_vjp
def _rounded(x: Array, kernel: Array) -> Array:
    return jnp.dot(x, kernel, preferred_element_type=jnp.float32).astype(x.dtype)


def _rounded_backward(operands: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    x, kernel = operands
    columns = (((1,), (1,)), ((), ()))
    grad_x = dot_general(grad, kernel, columns, preferred_element_type=jnp.float32)
    return grad_x.astype(x.dtype), _product_over_rows(x, grad).astype(x.dtype)


def _product_over_rows(x: Array, grad: Array) -> Array:
    """Returns the transpose of x (N, I) times grad (N, O) in float32.

    As two products that share `grad`: XLA copies the transposed operand of a product with a leading axis, and
    would convert both operands of one without.
    """
    rows, width = x.shape
    if width % 2 or width < 2 * WIDTH:
        return dot_general(x, grad, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
    halves = x.T.reshape(2, width // 2, rows)
    shared = jnp.broadcast_to(grad, (2, *grad.shape))
    product = jnp.einsum("nir,nro->nio", halves, shared, preferred_element_type=jnp.float32)
    return product.reshape(width, grad.shape[1])


_rounded.defvjp(lambda x, kernel: (_rounded(x, kernel), (x, kernel)), _rounded_backward)
