"""Nested parameters by path, and whether stored arrays fit them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from i1_hooks import UserError
from jaxtyping import PyTree


def flatten(params: PyTree) -> dict[str, Any]:
    """Returns the leaves of a state or of nested dicts by their paths, joined by `/`, in tree order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {"/".join(_key_name(key) for key in path if not _is_value(key)): leaf for path, leaf in leaves}


def _is_value(key: object) -> bool:
    """Tells the `.value` of an `nnx.Variable` apart from a parameter's name."""
    return isinstance(key, jax.tree_util.GetAttrKey) and key.name == "value"


def _key_name(key: object) -> str:
    return str(key.name if isinstance(key, jax.tree_util.GetAttrKey) else key.key)


def check_shapes(shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, Any]) -> None:
    """Checks that arrays have the expected names and shapes.

    Args:
        shapes: the expected shape by name.
        arrays: the given arrays by name; anything with a `shape`.

    Raises:
        UserError: listing all names that are missing, unknown or of another shape.
    """
    missing = sorted(shapes.keys() - arrays.keys())
    unknown = sorted(arrays.keys() - shapes.keys())
    wrong = [
        f"{name} is {tuple(arrays[name].shape)}, expected {shapes[name]}"
        for name in sorted(shapes.keys() & arrays.keys())
        if tuple(arrays[name].shape) != shapes[name]
    ]
    problems = [
        f"{len(found)} {what}: {', '.join(found)}"
        for what, found in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
        if found
    ]
    if problems:
        raise UserError(f"parameters do not fit the model: {'; '.join(problems)}")
