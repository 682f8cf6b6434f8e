"""Floating-point operations of a program, counted in its jaxpr: matrix products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

FORWARD_PRODUCTS, BACKWARD_PRODUCTS = 2, 5
"""Matrix products of size queries x keys x features in the two attention kernels."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One call of an attention kernel on one device.

    Attributes:
        products: matrix products of queries x keys x features.
        calls: number of times it runs.
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
        """Returns the operations of all calls, with every dimension padded to a multiple."""
        sizes = (self.num_queries, self.num_keys, self.head_dim)
        padded = math.prod(-(-size // multiple) * multiple for size in sizes)
        return 2.0 * self.products * self.calls * self.heads * padded


@dataclass(frozen=True, kw_only=True)
class Work:
    """The multiplications of a program.

    Attributes:
        flops: operations of matrix products and convolutions on all devices, two per multiply-add, kernels
            included.
        kernels: the attention kernels of one device.
    """

    flops: float
    kernels: tuple[Kernel, ...]


def count_flops(function: Callable[..., Any], *arguments: Any) -> float:
    """Returns the operations of a function's matrix products and convolutions, two per multiply-add.

    Loops count as often as they run, and of a conditional only the branch with most operations. Arguments may
    be shape structs; nothing is computed.
    """
    return count_work(jax.make_jaxpr(function)(*arguments).jaxpr).flops


def count_work(jaxpr: Any) -> Work:
    """Returns the operations of a jaxpr and its attention kernels; loops count as often as they run."""
    flops, kernels = 0.0, []
    for equation, calls, devices in _equations(jaxpr, 1, 1):
        match equation.primitive.name:
            case "dot_general":
                flops += calls * devices * _dot_flops(equation)
            case "conv_general_dilated":
                flops += calls * devices * _convolution_flops(equation)
            case name if name.startswith("dot_product_attention"):
                flops += devices * _cudnn_kernel(equation, calls).flops()
            case "pallas_call" if _is_attention(equation):
                kernel = _pallas_kernel(equation, calls)
                flops += devices * kernel.flops()
                kernels.append(kernel)
    return Work(flops=flops, kernels=tuple(kernels))


def _equations(jaxpr: Any, calls: int, devices: int) -> Iterator[tuple[Any, int, int]]:
    """Yields every equation with the number of times it runs, and of devices that run it."""
    for equation in jaxpr.eqns:
        yield equation, calls, devices
        inner = list(_inner_jaxprs(equation.params))
        inner_calls, inner_devices = calls, devices
        match equation.primitive.name:
            case "scan":
                inner_calls *= equation.params["length"]
            case "shard_map":  # the program of one device
                inner_devices = equation.params["mesh"].size
            case "cond":
                inner = [max(inner, key=lambda branch: count_work(branch).flops)]
            case "pallas_call":
                inner_calls *= math.prod(equation.params["grid_mapping"].grid)
                inner = [] if _is_attention(equation) else inner
        for part in inner:
            yield from _equations(part, inner_calls, inner_devices)


def _inner_jaxprs(params: dict[str, Any]) -> Iterator[Any]:
    """Yields the jaxprs inside an equation; of a function with its own derivative, the function alone."""
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield inner


def _dot_flops(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(left[dim] for dim in contracted)


def _convolution_flops(equation: Any) -> float:
    numbers = equation.params["dimension_numbers"]
    kernel, out = equation.invars[1].aval.shape, equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(kernel) / kernel[numbers.rhs_spec[0]]


def _cudnn_kernel(equation: Any, calls: int) -> Kernel:
    """Returns the call of a cuDNN kernel on queries (B, T, N, H) and keys (B, S, N, H)."""
    (batch, num_queries, heads, head_dim), keys = (variable.aval.shape for variable in equation.invars[:2])
    return Kernel(
        products=BACKWARD_PRODUCTS if "bwd" in equation.primitive.name else FORWARD_PRODUCTS,
        calls=calls,
        heads=batch * heads,
        num_queries=num_queries,
        num_keys=keys[1],
        head_dim=head_dim,
    )


def _is_attention(equation: Any) -> bool:
    """Tells the Pallas kernels of attention, `rows` and `splash`, apart from other kernels."""
    return any(part in equation.params["name"] for part in ("attention", "splash"))


def _batched_shape(array: Any) -> tuple[int, ...]:
    """Returns the shape of a floating-point array over heads with a batch axis; () for any other array."""
    missing = 4 - len(array.shape)
    if missing not in (0, 1) or not jnp.issubdtype(array.dtype, jnp.floating):
        return ()
    return (1,) * missing + tuple(array.shape)


def _pallas_kernel(equation: Any, calls: int) -> Kernel:
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
