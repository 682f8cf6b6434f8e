"""The fixed sinusoidal position table of image tokens."""

from __future__ import annotations

import numpy as np
from flax import nnx


class FrozenTable(nnx.Variable):
    """An array that is part of the model and of its checkpoints, but is never trained."""


def sinusoidal_table(width: int, grid: tuple[int, int], scale: float) -> np.ndarray:
    """Returns the 2-D sinusoidal embedding of a grid, float32 (1, N, width), row-major.

    The first half of the features encodes the column, the second half the row, each `[sin(p omega), cos(p
    omega)]` with `omega_i = 10000^(-i / (width / 4))` and p the grid index times `scale` (256 / resolution).
    """
    rows, columns = np.meshgrid(np.arange(grid[0]) * scale, np.arange(grid[1]) * scale, indexing="ij")
    omega = 1.0 / 10000 ** (np.arange(width // 4, dtype=np.float64) / (width / 4))

    def encode(position: np.ndarray) -> np.ndarray:
        angle = np.outer(position.reshape(-1), omega)
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)

    return np.concatenate([encode(columns), encode(rows)], axis=1).astype(np.float32)[None]
