"""What the backward pass of a block recomputes instead of reading: policies by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import jax
from jax import Array
from jax.ad_checkpoint import checkpoint_name

RematName = Literal["none", "full", "dots", "saved"]
"""Recompute nothing, all, all but matrix products and attention, or all but the values in a list of
`SavedName`."""
SavedName = Literal["attention", "heads", "inner"]
"""Attention before its output projection; queries, keys and values; the inside of the feed-forward part."""
SAVED: tuple[SavedName, ...] = ("attention", "inner")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def saved(x: Array, name: SavedName) -> Array:
    """Returns `x` itself, as a value that the policy `"saved"` can keep."""
    return checkpoint_name(x, name)


def rematerialised(
    function: FunctionT,
    policy: RematName,
    keep: tuple[SavedName, ...],
    *,
    in_scan: bool,
    static_argnums: tuple[int, ...] = (),
) -> FunctionT:
    """Returns a function with the same values and gradients, whose backward pass recomputes as told.

    Args:
        function: pure.
        policy: see `RematName`.
        keep: what `"saved"` keeps.
        in_scan: whether it is the body of a scan, which needs no barrier against undoing the recomputation.
        static_argnums: arguments that are not arrays.
    """
    if policy == "none":
        return function
    policies = jax.checkpoint_policies
    chosen = {
        "full": None,
        "dots": policies.save_from_both_policies(
            policies.dots_with_no_batch_dims_saveable, policies.save_only_these_names("attention")
        ),
        "saved": policies.save_only_these_names(*keep),
    }[policy]
    wrapped = jax.checkpoint(function, policy=chosen, static_argnums=static_argnums, prevent_cse=not in_scan)
    return cast("FunctionT", wrapped)
