"""Bounds of the sizes that configurations may ask for, and the errors for sizes beyond them.

They are far above every published model. Below them, shapes can be traced without overflow and position
tables fit into the memory of a machine.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

from i1_hooks import UserError

MAX_WIDTH = 2**16
"""Largest width of tokens or of a text encoder's output."""
MAX_INNER_WIDTH = 2**20
"""Largest inner width of a feed-forward network."""
MAX_DEPTH = 2**10
"""Largest number of blocks in a stack."""
MAX_RESOLUTION = 2**16
"""Largest number of pixels along the edge of a picture."""
MAX_TOKENS = 2**18
"""Largest number of tokens in a sequence."""


def check_size(name: str, value: int, *, largest: int = MAX_WIDTH, smallest: int = 1) -> None:
    """Checks that a size is a whole number within its bounds, which belong to the range.

    Args:
        name: what the message calls the size.
        value: the size.
        largest: the largest size allowed.
        smallest: the smallest size allowed.

    Raises:
        UserError: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not smallest <= value <= largest:
        raise UserError(f"{name} {value!r}: use a whole number from {smallest} to {largest}")


def check_positive(name: str, value: float) -> None:
    """Checks that a number is finite and above zero.

    Raises:
        UserError: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise UserError(f"{name} {value!r}: use a finite number above 0")
