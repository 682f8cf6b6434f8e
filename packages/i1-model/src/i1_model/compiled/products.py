"""Floating-point operations of a program, counted in its jaxpr: matrix products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

FORWARD_PRODUCTS, BACKWARD_PRODUCTS = 2, 5
"""Matrix products of size queries x keys x features in the two attention kernels."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One call of a Pallas attention kernel on one device.

    Attributes:
        products: matrix products of queries x keys x features.
        calls: how often it runs.
        heads: heads of all rows of the batch.
        num_queries: length of the queries.
        num_keys: length of the keys.
        head_dim: features of a head.
    """

    products: int
    calls: int
    heads: int
    num_queries: int
    num_keys: int
    head_dim: int

    def flops(self, multiple: int = 1) -> float:
        """Returns operations in all, every dimension filled up to a multiple."""
        sizes = (self.num_queries, self.num_keys, self.head_dim)
        padded = math.prod(-(-size // multiple) * multiple for size in sizes)
        return 2.0 * self.products * self.calls * self.heads * padded


@dataclass(frozen=True, kw_only=True)
class Products:
    """What a program multiplies.

    Attributes:
        flops: operations of matrix products and convolutions of all devices, kernels included.
        kernels: Pallas kernels of one device.
    """

    flops: float
    kernels: tuple[Kernel, ...]


def count_products(jaxpr: Any) -> Products:
    """Counts the operations of a jaxpr; loops count as often as they run."""
    flops, kernels = 0.0, []
    for equation, calls, devices in _equations(jaxpr, 1, 1):
        match equation.primitive.name:
            case "dot_general":
                flops += calls * devices * _dot_flops(equation)
            case "conv_general_dilated":
                flops += calls * devices * _convolution_flops(equation)
            case "pallas_call":
                kernel = _kernel(equation, calls)
                flops += devices * kernel.flops()
                kernels.append(kernel)
    return Products(flops=flops, kernels=tuple(kernels))


def _equations(jaxpr: Any, calls: int, devices: int) -> Iterator[tuple[Any, int, int]]:
    """Yields every equation with how often it runs, and on how many devices it is written out."""
    for equation in jaxpr.eqns:
        yield equation, calls, devices
        if equation.primitive.name == "pallas_call":
            continue
        inner_calls = calls * (equation.params["length"] if equation.primitive.name == "scan" else 1)
        inner_devices = equation.params["mesh"].size if equation.primitive.name == "shard_map" else devices
        for value in equation.params.values():
            for part in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner, inner_calls, inner_devices)


def _dot_flops(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(left[dim] for dim in contracted)


def _convolution_flops(equation: Any) -> float:
    numbers = equation.params["dimension_numbers"]
    kernel, out = equation.invars[1].aval.shape, equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(kernel) / kernel[numbers.rhs_spec[0]]


def _batched_shape(array: Any) -> tuple[int, ...]:
    """Returns the shape of a floating array over heads, to which a batch of one is put back; else nothing."""
    missing = 4 - len(array.shape)
    if missing not in (0, 1) or not jnp.issubdtype(array.dtype, jnp.floating):
        return ()
    return (1,) * missing + tuple(array.shape)


def _kernel(equation: Any, calls: int) -> Kernel:
    arrays = [shape for variable in equation.invars if (shape := _batched_shape(variable.aval))]
    queries, keys = arrays[0], arrays[1]
    backward = any(part in equation.params["name"] for part in ("dkv", "backward"))
    length, features = (2, 3) if queries[2] >= queries[3] else (3, 2)
    return Kernel(
        products=BACKWARD_PRODUCTS if backward else FORWARD_PRODUCTS,
        calls=calls,
        heads=queries[0] * queries[1],
        num_queries=queries[length],
        num_keys=keys[length],
        head_dim=queries[features],
    )
