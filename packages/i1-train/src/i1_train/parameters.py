"""Parameters by name: which released names an array stands for, and which patterns match them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from i1_hooks import UserError
from i1_model.checkpoints.names import released_names

Params = dict[str, jax.Array]
"""Arrays by their path in the denoiser, joined by `/`."""


@dataclass(frozen=True)
class Leaf:
    """One parameter array.

    Attributes:
        names: its released name, or one per layer when it is stacked over a leading layer axis.
        stacked: whether it is.
        ndim: number of axes, the layer axis included.
    """

    names: tuple[str, ...]
    stacked: bool
    ndim: int

    def matches(self, pattern: str) -> bool:
        """Says whether the pattern matches every name in full."""
        return all(re.fullmatch(pattern, name) for name in self.names)


def describe(params: Mapping[str, Any]) -> dict[str, Leaf]:
    """Returns what each array is, by path; arrays or shape structs."""
    leaves = {}
    for path, names in released_names(params).items():
        stacked = not isinstance(names, str)
        leaves[path] = Leaf(tuple(names) if stacked else (names,), stacked, len(params[path].shape))
    return leaves


def check_patterns(field: str, patterns: Iterable[str], leaves: Mapping[str, Leaf]) -> None:
    """Makes sure that every pattern matches some parameter.

    Raises:
        UserError: naming the pattern and near parameters.
    """
    names = [name for leaf in leaves.values() for name in leaf.names]
    for pattern in patterns:
        if not any(re.fullmatch(pattern, name) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3) or names[:3]
            raise UserError(
                f"{field}: {pattern!r} matches no parameter in full; names look like {', '.join(near)} "
                "(write '.*' for what may vary)"
            )


def factors(leaf: Leaf, rules: Sequence[tuple[str, float]]) -> np.ndarray:
    """Returns the factor of the first rule whose pattern matches, 1 where none does.

    Returns:
        float32, a scalar, or one value per layer (L, 1, ...) for a stacked array whose layers differ.
    """
    values = [
        next((factor for pattern, factor in rules if re.fullmatch(pattern, name)), 1.0) for name in leaf.names
    ]
    if len(set(values)) == 1:
        return np.asarray(values[0], np.float32)
    return np.asarray(values, np.float32).reshape((-1,) + (1,) * (leaf.ndim - 1))


def scale(params: Params, by: Mapping[str, np.ndarray]) -> Params:
    """Multiplies each array by its factor, without touching those whose factor is 1."""
    return {
        path: value if np.all(by[path] == 1) else _scaled(value, by[path]) for path, value in params.items()
    }


def _scaled(value: jax.Array, factor: np.ndarray) -> jax.Array:
    return value * jax.numpy.broadcast_to(factor.astype(value.dtype), value.shape)
