"""Pictures tile by tile: overlapping tiles, joined by weights that fall to zero at their edges.

Memory is that of one tile and of the result. A function of single positions gives the values of the whole.
One with global parts (norms over all positions, attention) gives each tile its own, and the joins stay free
of seams because the weights change gradually.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from jax import Array


def map_tiles(
    function: Callable[[Array], Array],
    x: Array,
    *,
    tile: int | None,
    overlap: int,
    unit_in: int = 1,
    unit_out: int = 1,
) -> Array:
    """Applies a function of pictures to tiles and joins the results; jittable.

    Args:
        function: maps (B, h unit_in, w unit_in, C) to (B, h unit_out, w unit_out, C').
        x: (B, H unit_in, W unit_in, C).
        tile: side of a tile in units; None takes the picture as a whole, as does one that holds it.
        overlap: units that neighbouring tiles share at least; below `tile`.
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
