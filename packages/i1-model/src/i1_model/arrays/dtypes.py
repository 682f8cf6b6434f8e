"""The dtypes of stored arrays."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError

WeightDtype = Literal["float32", "bfloat16"]

SAFETENSORS_DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
"""What the header of a safetensors file calls them."""


def weight_dtype(name: str) -> np.dtype:
    """Returns the numpy dtype of a `WeightDtype`.

    Raises:
        UserError: for another name.
    """
    if name not in ("float32", "bfloat16"):
        raise UserError(f"dtype {name!r} of weights: choose float32 or bfloat16")
    return np.dtype(np.float32) if name == "float32" else np.dtype(jnp.bfloat16)


def is_weight(dtype: np.dtype) -> bool:
    """Tells whether weights are stored in this dtype (and not, say, integer positions)."""
    return dtype in (np.float64, np.float32, np.float16, jnp.bfloat16)
