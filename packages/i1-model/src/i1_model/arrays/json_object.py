"""JSON objects in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import i1_hooks.files
from i1_hooks import UserError

JsonObject: TypeAlias = dict[str, Any]
"""What JSON calls an object; its values are checked where they are used."""


def read_json(path: Path) -> JsonObject:
    """Returns the object in a JSON file.

    Raises:
        UserError: when it cannot be read or is not a JSON object.
    """
    data = i1_hooks.files.read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a JSON object")
    return data
