import dataclasses
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import Component, ComponentConfig, Registry, UserError, hookimpl, use_registry
from i1_hooks.returned import describe, distribution_of, wrong_return
from i1_hooks.testing import check_import


class Base(ComponentConfig, kind="text_encoders"):
    pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Base):
    """A component."""


@pytest.fixture
def registered():
    place = f"{Mine.__module__}:{Mine.__qualname__}"
    plugin = SimpleNamespace(i1_text_encoders=hookimpl(lambda: [Component("x", place, "mine")]))
    with use_registry(Registry([("plugin", "foo", "1.2", lambda: plugin)], strict=True)):
        yield


def test_the_error_names_component_distribution_value_and_expectation(registered):
    error = wrong_return(Mine(), "build(...)", np.zeros((4, 3, 32), np.float32), "float32 (4, 32, 32)")
    assert isinstance(error, UserError)
    assert str(error) == (
        "text encoder 'x' (foo 1.2): build(...) returned float32 (4, 3, 32), expected float32 (4, 32, 32)"
    )
    assert distribution_of(Mine()) == "foo 1.2"


def test_a_component_of_no_plugin_is_named_by_its_class():
    assert distribution_of(Mine()) == Mine.__module__
    assert str(wrong_return(Mine(), "encode(...)", 1, "an array")) == (
        f"text encoder 'Mine' ({Mine.__module__}): encode(...) returned int 1, expected an array"
    )


def test_a_class_without_a_kind_is_named_too():
    class Loose(ComponentConfig):
        pass

    assert str(wrong_return(Loose(), "f()", None, "a number")).startswith("component '")


def test_arrays_are_described_while_tracing_too():
    seen = []
    jax.eval_shape(lambda x: seen.append(describe(x)), jnp.zeros((2, 3), jnp.bfloat16))
    assert seen == ["bfloat16 (2, 3)"]
    assert describe(jax.ShapeDtypeStruct((1,), jnp.int32)) == "int32 (1,)"
    assert describe(jax.random.key(0)) == "key<fry> ()"
    assert describe(np.float32(1)) == "float32 ()"


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (1.5, "float 1.5"),
        (float("nan"), "float nan"),
        (np.float32, "<class 'numpy.float32'>"),
        ("a\nb", "str 'a\\nb'"),
        ([], "list []"),
        ((np.zeros(2), None), "tuple of float64 (2,), None"),
        ({"a": np.zeros(2, np.int8)}, "dict of 'a': int8 (2,)"),
        (Unprintable(), "Unprintable without a repr"),
        (SimpleNamespace(shape=3, dtype="x"), "SimpleNamespace namespace(shape=3, dtype='x')"),
    ],
)
def test_anything_is_described(value, text):
    assert describe(value) == text


def test_a_description_is_bounded():
    assert len(describe("x" * 10_000)) < 100
    assert len(describe({str(i): np.zeros(2) for i in range(10_000)})) < 100
    assert len(describe([["x" * 1000] * 1000] * 1000)) < 100


def test_no_array_library_is_imported():
    check_import("i1_hooks.returned")
    assert "jax" in sys.modules
