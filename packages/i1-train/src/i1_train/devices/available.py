"""The devices that jax finds."""

from __future__ import annotations

import os
from typing import Any

import jax
from i1_hooks import UserError
from i1_hooks.text import one_line


def find_devices() -> list[Any]:
    """Returns all devices of all hosts.

    Raises:
        UserError: when jax cannot use the platform that `JAX_PLATFORMS` names, or any at all.
    """
    try:
        return jax.devices()
    except RuntimeError as error:
        reason = one_line(error)[:300]
        wanted = os.environ.get("JAX_PLATFORMS")
        if wanted:
            raise UserError(
                f"JAX_PLATFORMS={wanted}: jax cannot use it ({reason}); install jax for it, as in "
                "pip install 'jax[cuda12]', or unset JAX_PLATFORMS"
            ) from error
        raise UserError(f"jax finds no device it can use ({reason})") from error
