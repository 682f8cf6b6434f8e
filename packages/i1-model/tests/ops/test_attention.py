import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.ops.attention import attention, xla_attention
from i1_model.ops.attention_kernels import (
    equal_block,
    longest_block,
    make_empty_rows_uniform,
    splash_attention,
)
from i1_model.ops.attention_rows import MOST_KEYS, query_block, rows_attention
from i1_model.ops.target import target_platform
from jax.test_util import check_grads


def make(batch=2, queries=37, keys=29, heads=2, dim=8, seed=0):
    shapes = [(batch, queries, heads, dim), (batch, keys, heads, dim), (batch, keys, heads, dim)]
    arrays = [
        jax.random.normal(k, s)
        for k, s in zip(jax.random.split(jax.random.key(seed), 3), shapes, strict=True)
    ]
    mask = jnp.arange(keys)[None] < jnp.asarray([keys // 2, 0])[:, None]
    return (*arrays, mask[:batch])


def by_hand(q, k, v, mask):
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    logits = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    logits = np.where(np.asarray(mask)[:, None, None], logits, -1e30)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(-1, keepdims=True), v)


def test_matches_the_definition_and_an_empty_row_is_uniform():
    q, k, v, mask = make()
    out = attention(q, k, v, mask)
    np.testing.assert_allclose(out, by_hand(q, k, v, mask), atol=1e-6)
    uniform = jnp.broadcast_to(jnp.mean(v[1], axis=0)[None], out[1].shape)
    np.testing.assert_allclose(out[1], uniform, atol=1e-6)


def test_masked_keys_change_nothing():
    q, k, v, mask = make()
    junk = jnp.where(mask[:, :, None, None], 0.0, 1e3)
    junk = junk.at[1].set(0)
    np.testing.assert_array_equal(attention(q, k, v, mask), attention(q, k + junk, v + junk, mask))


@pytest.mark.parametrize("block_bytes", [1, 4 * 2 * 2 * 29 * 10, 4 * 2 * 2 * 29 * 36])
def test_blocks_change_neither_outputs_nor_gradients(block_bytes):
    q, k, v, mask = make()

    def loss(q, k, v, **sizes):
        return jnp.sum(jnp.sin(xla_attention(q, k, v, mask, **sizes)))

    plain = jax.value_and_grad(loss, argnums=(0, 1, 2))(q, k, v)
    blocked = jax.value_and_grad(loss, argnums=(0, 1, 2))(q, k, v, plain_bytes=0, block_bytes=block_bytes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain, blocked)


def test_gradients_are_those_of_finite_differences():
    q, k, v, mask = make(queries=3, keys=4, dim=2)
    check_grads(lambda *x: attention(*x, mask), (q, k, v), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_a_long_sequence_never_holds_its_logits():
    length, heads = 4096, 4
    q = jax.ShapeDtypeStruct((1, length, heads, 8), jnp.float32)

    def gradients(q, k, v):
        return jax.grad(lambda *x: jnp.sum(attention(*x, None)), argnums=(0, 1, 2))(q, k, v)

    memory = jax.jit(gradients).lower(q, q, q).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * length * length * heads / 4


def test_softmax_is_float32_for_bfloat16():
    q, k, v, mask = make()
    narrow = [x.astype(jnp.bfloat16) for x in (q, k, v)]
    out = attention(*narrow, mask)
    assert out.dtype == jnp.bfloat16
    exact = by_hand(*(x.astype(jnp.float32) for x in narrow), mask)
    np.testing.assert_allclose(out.astype(jnp.float32), exact, atol=2e-2)


def test_blocks_of_the_splash_kernel_are_equal_and_hold_all_tokens():
    assert equal_block(4352, 2176) == 2176
    assert equal_block(4352, 1536) == 1536
    assert equal_block(1280, 2176) == equal_block(1280, 1536) == 1280
    assert equal_block(2177, 2176) == 1152
    assert equal_block(1, 512) == 128
    assert longest_block("v5p") > longest_block("v6e") > longest_block("a chip of tomorrow")


@pytest.mark.parametrize("run", [functools.partial(splash_attention, longest_block=128), rows_attention])
def test_kernels_of_tpus_agree_with_outputs_and_gradients(run):
    q, k, v, mask = make(queries=130, keys=140, dim=16)
    mask = mask.at[1, 3].set(True)

    def loss(run):
        return lambda q, k, v: jnp.sum(jnp.sin(run(q, k, v)))

    def kernel(q, k, v):
        return run(q, k, v, mask, interpret=True)

    expected = jax.value_and_grad(loss(lambda *x: xla_attention(*x, mask)), argnums=(0, 1, 2))(q, k, v)
    actual = jax.value_and_grad(loss(kernel), argnums=(0, 1, 2))(q, k, v)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-3), actual, expected)


def test_blocks_of_queries_fit_and_are_little_padded():
    assert query_block(512, 512) == 512
    assert query_block(1280, 1280) == 256
    assert query_block(4352, 4352) == 256
    assert query_block(1152, 1152) == 384
    assert query_block(100, MOST_KEYS) == 128


def test_rows_without_a_valid_key_become_uniform():
    q, _, v, mask = make(queries=4, keys=4)
    q, mask = make_empty_rows_uniform(q, mask)
    np.testing.assert_allclose(
        xla_attention(q, v, v, mask)[1], jnp.broadcast_to(v[1].mean(0), v[1].shape), atol=1e-6
    )


@pytest.mark.parametrize("implementation", ["splash", "rows", "auto"])
def test_kernels_lower_for_tpu_forward_and_backward(implementation):
    q = jax.ShapeDtypeStruct((2, 1300, 2, 72), jnp.bfloat16)
    mask = jax.ShapeDtypeStruct((2, 1300), jnp.bool)

    def gradients(q, k, v, mask):
        return jax.grad(lambda *x: jnp.sum(attention(*x, mask, implementation).astype(jnp.float32)))(q, k, v)

    with target_platform("tpu", "v5p"):
        lowered = jax.jit(gradients).trace(q, q, q, mask).lower(lowering_platforms=("tpu",))
    assert "tpu_custom_call" in lowered.as_text()


@pytest.mark.parametrize("implementation", ["cudnn", "splash"])
def test_a_platform_that_cannot_run_a_kernel_says_so(implementation):
    if jax.default_backend() != "cpu":
        pytest.skip("needs a machine without accelerator")
    with pytest.raises(UserError, match=rf"{implementation}.*cpu.*auto"):
        attention(*make(), implementation)


def test_cudnn_names_what_it_cannot_run():
    q, k, v, mask = make()
    with target_platform("gpu"):
        with pytest.raises(UserError, match=r"float32.*compute_dtype"):
            attention(q, k, v, mask, "cudnn")
        narrow = [x[..., :6].astype(jnp.bfloat16) for x in (q, k, v)]
        with pytest.raises(UserError, match="multiple of 8"):
            attention(*narrow, mask, "cudnn")


def test_auto_avoids_cudnn_where_it_cannot_run():
    q, k, v, mask = make()
    with target_platform("gpu"):
        np.testing.assert_array_equal(attention(q, k, v, mask), xla_attention(q, k, v, mask))


def test_an_unknown_implementation_lists_the_choices():
    with pytest.raises(UserError, match=r"flash.*splash"):
        attention(*make(), "flash")
