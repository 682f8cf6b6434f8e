"""Products of bfloat16 numbers on a CPU: those of float32, rounded, at shapes round and odd."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_model.ops.attention import attention
from i1_model.ops.matmul import WIDTH, add_bias, product
from i1_model.ops.sharding import AXES, use_mesh
from jax.sharding import Mesh

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="other platforms do otherwise")


def random(*shapes, dtype=jnp.bfloat16):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(key, shape).astype(dtype) for key, shape in zip(keys, shapes, strict=True)]


def results(function, arguments, dtype):
    """The value and the gradients of `function`, computed in `dtype`."""
    arguments = [x.astype(dtype) for x in arguments]
    out, pull = jax.vjp(jax.jit(function), *arguments)
    weight = jnp.cos(jnp.arange(out.size, dtype=jnp.float32)).reshape(out.shape).astype(dtype)
    assert out.dtype == dtype
    return [out, *jax.jit(pull)(weight)]


def assert_near(narrow, wide):
    for a, b in zip(narrow, wide, strict=True):
        a, b = (np.asarray(x, np.float32) for x in (a, b))
        assert np.abs(a - b).max() < 4e-2 * max(1, np.abs(b).max())


@pytest.mark.parametrize("leading", [(1,), (WIDTH - 1,), (1, WIDTH), (2, 37), (1, 1, 64)])
@pytest.mark.parametrize(
    "widths", [(16, 16), (17, 48), (64, 1), (1, 64), (15, 64), (96, 31), (32, 16), (34, 40)]
)
def test_layers_are_those_of_float32_rounded(leading, widths):
    arrays = random((*leading, widths[0]), widths, widths[1:])
    layer = lambda x, kernel, bias: add_bias(product(x, kernel), bias)  # noqa: E731
    assert_near(results(layer, arrays, jnp.bfloat16), results(layer, arrays, jnp.float32))


@pytest.mark.parametrize("shape", [(1, 16, 1), (1, 16, 2), (2, 16, 1), (3, 33, 2), (2, 40, 3)])
@pytest.mark.parametrize("lengths", [(16, 16), (17, 50), (50, 17), (15, 40)])
def test_attention_is_that_of_float32_rounded(shape, lengths):
    batch, width, heads = shape
    queries, keys = lengths
    arrays = random((batch, queries, heads, width), *[(batch, keys, heads, width)] * 2)
    mask = jnp.arange(keys)[None] < jnp.asarray([keys // 2, 0, keys])[:batch, None]
    run = lambda q, k, v: attention(q, k, v, mask)  # noqa: E731
    assert_near(results(run, arrays, jnp.bfloat16), results(run, arrays, jnp.float32))


def test_a_row_without_keys_gives_queries_and_keys_no_gradient():
    arrays = random((2, 16, 2, 16), (2, 20, 2, 16), (2, 20, 2, 16))
    mask = jnp.asarray([[True], [False]]) & jnp.ones((2, 20), bool)
    _, grad_q, grad_k, grad_v = results(lambda q, k, v: attention(q, k, v, mask), arrays, jnp.bfloat16)
    assert not grad_q[1].any()
    assert not grad_k[1].any()
    assert grad_v[1].any()
    assert grad_q[0].any()


def test_bfloat16_is_multiplied_as_such():
    x, kernel = random((64, 32), (32, 48))
    text = jax.jit(product).lower(x, kernel).as_text()
    assert "(tensor<64x32xbf16>, tensor<32x48xbf16>) -> tensor<64x48xf32>" in text


def test_a_mesh_leaves_products_to_the_compiler():
    arrays = random((64, 32), (32, 48))
    mesh = Mesh(np.asarray([jax.devices()[0]] * 2).reshape(1, 2, 1, 1), AXES)
    trace = lambda: str(jax.make_jaxpr(lambda *x: product(*x))(*arrays))  # noqa: E731
    assert "name=_rounded" in trace()
    with use_mesh(mesh):
        assert "name=_rounded" not in trace()
