"""What the backward pass of a block recomputes instead of reading: policies by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import jax
from jax import Array
from jax.ad_checkpoint import checkpoint_name

RematName = Literal["none", "full", "dots", "saved"]
"""What is recomputed: nothing, everything, everything except matrix products and attention, or everything
except the values in a list of `SavedName`."""
SavedName = Literal["attention", "heads", "inner"]
"""The attention output before its projection; queries, keys and values; the inner features of the
feed-forward network."""
SAVED: tuple[SavedName, ...] = ("attention", "inner")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def checkpoint_named(x: Array, name: SavedName) -> Array:
    """Returns `x` itself under a name by which the policy `"saved"` can keep it."""
    return checkpoint_name(x, name)


def rematerialize(
    function: FunctionT,
    policy: RematName,
    keep: tuple[SavedName, ...],
    *,
    in_scan: bool,
) -> FunctionT:
    """Returns a function with the same values and gradients, whose backward pass recomputes by a policy.

    Args:
        function: a pure function of pytrees.
        policy: see `RematName`.
        keep: what `"saved"` keeps.
        in_scan: whether it is the body of a scan, which needs no barrier against reuse of the values.
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
    wrapped = jax.checkpoint(function, policy=chosen, prevent_cse=not in_scan)
    return cast("FunctionT", wrapped)
