"""Applies a function to overlapping tiles and joins them by weights that fall to zero at their edges.

The memory is that of one tile and of the result. A function of single positions gives the values of the whole
picture. One with global parts (norms over all positions, attention) computes them for each tile, and no seams
show because the weights change gradually.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from jax import Array
from jaxtyping import Float


def map_tiles(
    function: Callable[[Array], Array],
    x: Float[Array, "B h w C"],
    *,
    tile: int | None,
    overlap: int,
    unit_in: int = 1,
    unit_out: int = 1,
) -> Float[Array, "B H W D"]:
    """Applies a function of pictures to tiles and joins the results; jittable.

    Args:
        function: maps (B, h unit_in, w unit_in, C) to (B, h unit_out, w unit_out, C').
        x: (B, H unit_in, W unit_in, C).
        tile: the side of a tile in units; None, or one as large as the picture, uses no tiles.
        overlap: the fewest units that neighbouring tiles share; less than `tile`.
        unit_in: positions of a unit in `x`.
        unit_out: positions of a unit in the result.

    Raises:
        UserError: when the overlap is not below the tile, or not positive.
    """
    height, width = x.shape[1] // unit_in, x.shape[2] // unit_in
    if tile is None or max(height, width) <= tile:
        return function(x)
    if not 0 < overlap < tile:
        raise UserError(f"tile {tile} with overlap {overlap}: use an overlap from 1 to {tile - 1}")
    sides = min(tile, height), min(tile, width)
    rows, columns = (_starts(n, side, overlap) for n, side in zip((height, width), sides, strict=True))
    starts = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    ramps = [_ramp(side * unit_out, overlap * unit_out) for side in sides]
    weight = jnp.asarray(np.outer(*ramps)[None, :, :, None])
    size_in = (x.shape[0], sides[0] * unit_in, sides[1] * unit_in, x.shape[3])
    out = jax.eval_shape(function, jax.ShapeDtypeStruct(size_in, x.dtype))

    def add(sums: tuple[Array, Array], start: Array) -> tuple[tuple[Array, Array], None]:
        row, column = start[0], start[1]
        part = jax.lax.dynamic_slice(x, (0, row * unit_in, column * unit_in, 0), size_in)
        place = (0, row * unit_out, column * unit_out, 0)
        values, weights = sums
        return (_add_at(values, function(part) * weight, place), _add_at(weights, weight, place)), None

    whole = (height * unit_out, width * unit_out)
    sums = jnp.zeros((out.shape[0], *whole, out.shape[3]), out.dtype), jnp.zeros((1, *whole, 1), jnp.float32)
    (values, weights), _ = jax.lax.scan(add, sums, jnp.asarray(starts, jnp.int32))
    return values / weights


def _add_at(total: Array, term: Array, place: tuple[int | Array, ...]) -> Array:
    present = jax.lax.dynamic_slice(total, place, term.shape)
    return jax.lax.dynamic_update_slice(total, present + term, place)


def _starts(length: int, side: int, overlap: int) -> np.ndarray:
    """Returns evenly spread starts of the fewest tiles that cover a length."""
    number = 1 if side >= length else 1 + -(-(length - side) // (side - overlap))
    return np.linspace(0, length - side, number).astype(int)


def _ramp(side: int, overlap: int) -> np.ndarray:
    """Returns the weights across a tile: 1 inside, falling to nearly 0 over the overlap, float32 (side,)."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.minimum(distance / overlap, 1).astype(np.float32)
