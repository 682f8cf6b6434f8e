"""Checks of what components return: a wrong length, shape, dtype or type names the component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from i1_hooks import ComponentConfig
from i1_hooks.returned import describe, wrong_return

from i1_sample.rewriters.base import RewriterConfig
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids.base import TimeGridConfig


def checked_times(grid: TimeGridConfig, num_steps: int) -> np.ndarray:
    """Returns the times of a grid.

    Raises:
        UserError: unless they are (num_steps + 1,) float32, strictly increasing from 0 to 1.
    """
    times: Any = grid.times(num_steps)
    call, expected = f"times({num_steps})", f"float32 ({num_steps + 1},)"
    if not isinstance(times, np.ndarray) or times.shape != (num_steps + 1,) or times.dtype != np.float32:
        raise wrong_return(grid, call, times, expected)
    wrong = np.flatnonzero(~(np.diff(times) > 0))
    if times[0] != 0 or times[-1] != 1 or wrong.size:
        got = f"times from {times[0]:g} to {times[-1]:g}"
        got += f" with {times[wrong[0] + 1]:g} after {times[wrong[0]]:g}" if wrong.size else ""
        raise wrong_return(grid, call, got, "times that strictly increase from 0 to 1")
    return times


def checked_prompts(rewriter: RewriterConfig, prompts: Sequence[str]) -> list[str]:
    """Returns the rewritten prompts.

    Raises:
        UserError: unless there is one text per prompt.
    """
    rewritten: Any = rewriter.rewrite(prompts)
    is_list = isinstance(rewritten, (list, tuple))
    if not is_list or len(rewritten) != len(prompts) or not all(isinstance(r, str) for r in rewritten):
        call = f"rewrite(...) of {len(prompts)} prompts"
        raise wrong_return(rewriter, call, rewritten, f"a list of {len(prompts)} texts")
    return list(rewritten)


def checked_like(config: ComponentConfig, call: str, got: Any, like: jax.Array) -> jax.Array:
    """Returns an array that a component gave.

    Raises:
        UserError: unless it has the shape and the dtype of `like`.
    """
    if getattr(got, "shape", None) != like.shape or getattr(got, "dtype", None) != like.dtype:
        raise wrong_return(config, call, got, describe(like))
    return got


def checked_step(solver: SolverConfig, got: Any, x: jax.Array, carry: Any) -> tuple[jax.Array, Any]:
    """Returns the state and the carry after a step.

    Raises:
        UserError: unless they have the structure, the shapes and the dtypes of those before.
    """
    call = "step(...)"
    if not isinstance(got, tuple) or len(got) != 2:
        raise wrong_return(solver, call, got, "a tuple of the state and the carry")
    after = checked_like(solver, f"{call}[0]", got[0], x)
    old, new = (jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(*_form(leaf)), c) for c in (carry, got[1]))
    if jax.tree.structure(old) != jax.tree.structure(new) or jax.tree.leaves(old) != jax.tree.leaves(new):
        raise wrong_return(solver, f"{call}[1]", got[1], f"a carry like the one before, {describe(carry)}")
    return after, got[1]


def _form(leaf: Any) -> tuple[tuple[int, ...], Any]:
    return getattr(leaf, "shape", ()), getattr(leaf, "dtype", np.dtype(object))
