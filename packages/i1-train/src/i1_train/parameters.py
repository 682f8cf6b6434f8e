"""Parameters by name: the released names an array stands for, and the patterns that match them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from i1_hooks import UserError
from i1_model.checkpoints.names import released_names

Params = dict[str, jax.Array]
"""Arrays by their path in the denoiser, with the names in it joined by `/`."""

POSITIONS = r".*pos_embed"
"""The table of sinusoidal positions, which is never trained; a model may have none."""


@dataclass(frozen=True)
class ParameterInfo:
    """What one parameter array is.

    Attributes:
        names: its released name, or one name per layer when it is stacked over a leading layer axis.
        stacked: whether it has a leading layer axis.
        ndim: number of axes, including the layer axis.
    """

    names: tuple[str, ...]
    stacked: bool
    ndim: int

    def matches(self, pattern: str) -> bool:
        """Says whether the pattern matches every name as a whole."""
        return all(re.fullmatch(pattern, name) for name in self.names)


def describe_parameters(params: Mapping[str, jax.Array | jax.ShapeDtypeStruct]) -> dict[str, ParameterInfo]:
    """Returns what each array is, by path.

    Args:
        params: arrays or shape structs by path.
    """
    infos = {}
    for path, names in released_names(params).items():
        stacked = not isinstance(names, str)
        of_layers = tuple(names) if stacked else (str(names),)
        infos[path] = ParameterInfo(of_layers, stacked, len(params[path].shape))
    return infos


def check_patterns(field: str, patterns: Iterable[str], infos: Mapping[str, ParameterInfo]) -> None:
    """Checks that every pattern matches at least one parameter.

    Args:
        field: the field of the recipe that holds the patterns, for the message.
        patterns: regular expressions.
        infos: what each array is, by path.

    Raises:
        UserError: naming the first pattern without a match, and parameters with similar names.
    """
    names = [name for info in infos.values() for name in info.names]
    for pattern in patterns:
        if not any(re.fullmatch(pattern, name) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3) or names[:3]
            raise UserError(
                f"{field}: {pattern!r} matches no whole parameter name; names look like {', '.join(near)} "
                "(write '.*' for what may vary)"
            )


def factors(info: ParameterInfo, rules: Sequence[tuple[str, float]], default: float = 1.0) -> np.ndarray:
    """Returns the factor of the first rule whose pattern matches.

    Args:
        info: the parameter.
        rules: (regular expression, factor) pairs.
        default: the factor when no pattern matches.

    Returns:
        A float32 scalar, or one value per layer (L, 1, ...) for a stacked array whose layers differ.
    """
    values = [
        next((factor for pattern, factor in rules if re.fullmatch(pattern, name)), default)
        for name in info.names
    ]
    if len(set(values)) == 1:
        return np.asarray(values[0], np.float32)
    return np.asarray(values, np.float32).reshape((-1,) + (1,) * (info.ndim - 1))


def scale(params: Params, by: Mapping[str, np.ndarray]) -> Params:
    """Multiplies each array by its factor; arrays whose factor is 1 are returned as they are."""
    return {
        path: value if np.all(by[path] == 1) else _scaled(value, by[path]) for path, value in params.items()
    }


def _scaled(value: jax.Array, factor: np.ndarray) -> jax.Array:
    return value * jax.numpy.broadcast_to(factor.astype(value.dtype), value.shape)
