"""The one counter of floating-point operations."""

import jax
import jax.numpy as jnp
import pytest
from i1_model.ops.flops import count_flops, count_work
from jax.experimental import pallas as pl

X, W = jax.ShapeDtypeStruct((4, 8), jnp.float32), jax.ShapeDtypeStruct((8, 8), jnp.float32)


def test_products_in_loops_count_as_often_as_they_run():
    def chain(x, w):
        return jax.lax.scan(lambda y, _: (y @ w, None), x, None, length=7)[0]

    assert count_flops(chain, X, W) == 7 * 2 * 4 * 8 * 8
    assert count_work(jax.make_jaxpr(chain)(X, W).jaxpr).kernels == ()


def test_products_inside_jit_and_checkpoint_count_once():
    def layer(x, w):
        return jnp.tanh(x @ w), None

    def model(x, ws):
        return jax.lax.scan(jax.checkpoint(layer), x, ws)[0]

    ws = jax.ShapeDtypeStruct((3, 8, 8), jnp.float32)
    assert count_flops(model, X, ws) == 3 * 2 * 4 * 8 * 8
    assert count_flops(jax.jit(model), X, ws) == 3 * 2 * 4 * 8 * 8


def test_a_convolution_is_counted():
    def patches(image, kernel):
        return jax.lax.conv_general_dilated(
            image, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    image, kernel = jnp.ones((2, 8, 8, 3), jnp.float32), jnp.ones((2, 2, 3, 7), jnp.float32)
    assert count_flops(patches, image, kernel) == 2 * (2 * 4 * 4) * 7 * (2 * 2 * 3)


def test_of_a_conditional_the_branch_with_most_operations_counts():
    def either(x, w):
        return jax.lax.cond(jnp.sum(x) > 0, lambda: x @ w @ w, lambda: x @ w)

    assert count_flops(either, X, W) == 2 * 2 * 4 * 8 * 8


def test_other_kernels_count_their_program_for_every_cell_of_the_grid():
    def kernel(x_ref, w_ref, out_ref):
        out_ref[...] = x_ref[...] @ w_ref[...]

    def product(x, w):
        return pl.pallas_call(
            kernel,
            name="product",
            grid=(2,),
            in_specs=[pl.BlockSpec((2, 8), lambda i: (i, 0)), pl.BlockSpec((8, 8), lambda i: (0, 0))],
            out_specs=pl.BlockSpec((2, 8), lambda i: (i, 0)),
            out_shape=jax.ShapeDtypeStruct((4, 8), jnp.float32),
        )(x, w)

    assert count_flops(product, X, W) == 2 * 4 * 8 * 8
    assert count_work(jax.make_jaxpr(product)(X, W).jaxpr).kernels == ()


@pytest.mark.parametrize("batch", [1, 2])
def test_attention_kernels_count_their_products(batch):
    from i1_model.ops.attention_kernels import splash_attention

    q = jax.ShapeDtypeStruct((batch, 256, 4, 72), jnp.bfloat16)
    mask = jax.ShapeDtypeStruct((batch, 256), jnp.bool_)

    def loss(q, k, v, mask):
        return splash_attention(q, k, v, mask).astype(jnp.float32).sum()

    work = count_work(jax.make_jaxpr(jax.grad(loss, argnums=(0, 1, 2)))(q, q, q, mask).jaxpr)
    assert sorted(kernel.products for kernel in work.kernels) == [2, 5]
    assert work.flops == pytest.approx(7 * 2 * (batch * 4) * 256 * 256 * 72, rel=0.01)
    padded = sum(kernel.flops(128) for kernel in work.kernels)
    assert padded == 7 * 2 * (batch * 4) * 256 * 256 * 128
