"""Rotary positions: angles of tokens, and the rotation of queries and keys.

Adjacent features (2i, 2i+1) form a pair. Inside this package queries and keys hold all first members of the
pairs in their first half and all second members in the second half: the projection's columns are read in that
order, which leaves every dot product as it is and makes the rotation a few contiguous operations.
See arXiv 2104.09864.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float


class RotaryTable(NamedTuple):
    """Cosines and sines, float32, of one angle per token and feature pair: each (B, S, head_dim / 2)."""

    cos: Array
    sin: Array

    def select(self, tokens: slice) -> RotaryTable:
        """Returns the table of a slice of the tokens."""
        return RotaryTable(self.cos[:, tokens], self.sin[:, tokens])


def default_axes(head_dim: int) -> tuple[int, int, int]:
    """Returns the features rotated by the sequence, row and column axes: a half and two quarters, even."""
    sequence = head_dim // 2 // 2 * 2
    row = (head_dim - sequence) // 2 // 2 * 2
    return sequence, row, head_dim - sequence - row


def angles(positions: np.ndarray, dim: int, theta: float) -> np.ndarray:
    """Returns `positions[s] * theta^(-2j / dim)`, float32 (S, dim / 2)."""
    frequencies = 1.0 / theta ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
    return np.outer(positions.astype(np.float64), frequencies).astype(np.float32)


def grid_coordinates(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns row and column index of every token of a (rows, columns) grid in row-major order, each (N,)."""
    rows, columns = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    return rows.reshape(-1), columns.reshape(-1)


def joint_table(
    mask: Bool[Array, "B L"],
    grid: tuple[int, int],
    axes: tuple[int, int, int],
    lengths: tuple[int, int, int],
    *,
    theta: float,
    scale: float,
) -> RotaryTable:
    """Returns the table of [image, text] tokens, three axes (sequence, row, column).

    Text token i has the position (i, 0, 0), and every image token (number of valid text tokens, row, column).
    A masked text token also has its index as its position, which nothing reads. Positions beyond a table's
    length are clipped.

    Args:
        mask: (B, L) bool, the valid text tokens.
        grid: rows and columns of image tokens.
        axes: features per axis, each even.
        lengths: number of positions per axis.
        theta: base of the frequencies.
        scale: factor on row and column, 256 / resolution.
    """
    batch, num_text = mask.shape
    num_image = grid[0] * grid[1]
    sequence = angles(np.arange(lengths[0]), axes[0], theta)
    row, column = grid_coordinates(grid)
    spatial = np.concatenate(
        [
            angles(np.minimum(row, lengths[1] - 1) * scale, axes[1], theta),
            angles(np.minimum(column, lengths[2] - 1) * scale, axes[2], theta),
        ],
        axis=-1,
    )
    count = jnp.minimum(jnp.sum(mask, axis=1, dtype=jnp.int32), lengths[0] - 1)
    text_sequence = sequence[np.minimum(np.arange(num_text), lengths[0] - 1)]

    def tabulate(function: np.ufunc) -> Array:
        per_row = jnp.asarray(function(sequence))[count]
        image = jnp.concatenate(
            [
                jnp.broadcast_to(per_row[:, None, :], (batch, num_image, axes[0] // 2)),
                jnp.broadcast_to(jnp.asarray(function(spatial))[None], (batch, *spatial.shape)),
            ],
            axis=-1,
        )
        text = np.concatenate(
            [function(text_sequence), function(np.zeros((num_text, spatial.shape[1]), np.float32))], axis=-1
        )
        return jnp.concatenate(
            [image, jnp.broadcast_to(jnp.asarray(text)[None], (batch, *text.shape))], axis=1
        )

    return RotaryTable(tabulate(np.cos), tabulate(np.sin))


def grid_table(grid: tuple[int, int], head_dim: int, *, theta: float, scale: float) -> RotaryTable:
    """Returns the table of image tokens, half of the features per axis (row, column): (1, N, D / 2)."""
    row, column = grid_coordinates(grid)
    table = np.concatenate(
        [angles(row * scale, head_dim // 2, theta), angles(column * scale, head_dim // 2, theta)], axis=-1
    )
    return RotaryTable(jnp.asarray(np.cos(table))[None], jnp.asarray(np.sin(table))[None])


def pairs_to_halves(x: Float[Array, "*S D"]) -> Float[Array, "*S D"]:
    """Reorders the last axis from (pair, member) to (member, pair)."""
    paired = x.reshape(*x.shape[:-1], x.shape[-1] // 2, 2)
    return jnp.swapaxes(paired, -1, -2).reshape(x.shape)


def rotate(x: Float[Array, "B S N D"], table: RotaryTable) -> Float[Array, "B S N D"]:
    """Rotates queries or keys; computed in float32, returned in the dtype of `x`.

    Args:
        x: (B, S, heads, head_dim) in half order.
        table: arrays (B, S, head_dim / 2) or (1, S, head_dim / 2).
    """
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    cos, sin = table.cos[:, :, None, :], table.sin[:, :, None, :]
    turned = jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)
    return turned.astype(x.dtype)
