"""A device without memory: one line with what did not fit and what can be changed."""

import jax
import jax.numpy as jnp
import pytest
import small_runs as runs
from i1_hooks import UserError
from i1_train.memory_settings import memory_settings
from i1_train.process.out_of_memory import explain_oom

ARRAYS = {
    "parameters": jax.ShapeDtypeStruct((2**28,), jnp.float32),
    "average": {},
    "frozen weights below LoRA": {"a": jax.ShapeDtypeStruct((2**29,), jnp.int8)},
}
COMPILER = """RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 35.93G of 31.25G hbm.

Largest program allocations in hbm:

  1. Size: 2.25G
     Operator: op_name="jit(step)/attention/dot_general" source_file="x.py"
     Shape: f32[64,16,4096,4096]
"""


def explain(message, *assignments):
    settings = memory_settings(runs.recipe(*assignments))
    with pytest.raises(UserError) as caught, explain_oom(ARRAYS, 4, settings):
        raise jax.errors.JaxRuntimeError(message)
    return str(caught.value)


def test_what_the_compiler_says():
    line = explain(COMPILER)
    assert "35.93 G did not fit, the largest buffer is 2.25G of jit(step)/attention/dot_general" in line
    assert "in all there are parameters 1.00 GiB, frozen weights below LoRA 0.50 GiB, gradients" in line
    assert "activations of 4 images at a time" in line
    knobs = (
        "model.compute_dtype=bfloat16",
        "model.backbone.remat=full",
        "grad_accumulation=2",
        "batch_size=2",
    )
    assert line.endswith("try " + ", ".join(f"--set {knob}" for knob in knobs))
    assert "\n" not in line


def test_what_the_allocator_says():
    line = explain("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123456 bytes.")
    assert "123456 bytes did not fit" in line
    assert "grad_accumulation=4" in explain("RESOURCE_EXHAUSTED", "grad_accumulation=2")


def test_a_real_one():
    with pytest.raises(UserError, match="did not fit"), explain_oom(ARRAYS, 4, ["batch_size=2"]):
        jax.block_until_ready(jnp.zeros((2**46,), jnp.float32))


def test_other_errors_stay_as_they_are():
    with (
        pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"),
        explain_oom(ARRAYS, 4, ["batch_size=2"]),
    ):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")
