"""When something periodic is due."""

from __future__ import annotations


def is_due(step: int, every: int, total: int, *, first: bool = True, last: bool = True) -> bool:
    """Says whether step `step` of 1..total is one of every `every`, the first or the last.

    A multiple nearer than a quarter of `every` to the end does not count, being so close to the last step.

    Args:
        step: counted from 1.
        every: the period in steps.
        total: length of the run.
        first: whether step 1 counts.
        last: whether step `total` counts.
    """
    close_to_end = total - step < 0.25 * every
    return (step % every == 0 and not close_to_end) or (first and step == 1) or (last and step == total)
