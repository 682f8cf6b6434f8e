"""When something periodic is due."""

from __future__ import annotations


def is_due(step: int, every: int, total: int, *, first: bool = True, last: bool = True) -> bool:
    """Says whether something that happens every `every` steps is due after a step.

    It is also due at the first and the last step. A multiple of `every` that is less than a quarter of a
    period before the last step is left out.

    Args:
        step: number of the step, from 1.
        every: the period in steps.
        total: number of steps of the run.
        first: whether it is due at step 1.
        last: whether it is due at step `total`.
    """
    close_to_end = total - step < 0.25 * every
    return (step % every == 0 and not close_to_end) or (first and step == 1) or (last and step == total)
