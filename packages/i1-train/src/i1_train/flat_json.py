"""Nested JSON data as a flat dict of paths, and what differs between two of them."""

from __future__ import annotations

import json


def differences(old: object, new: object) -> dict[str, str]:
    """Returns the paths at which JSON data differs, each with a text `path: old -> new`."""
    before, after = flatten_json(old), flatten_json(new)
    return {
        path: f"{path}: {_show(before, path)} -> {_show(after, path)}"
        for path in sorted(before.keys() | after.keys())
        if _show(before, path) != _show(after, path)
    }


def flatten_json(data: object, path: str = "") -> dict[str, object]:
    """Returns the values inside nested dicts and lists by path, with names and indices joined by dots."""
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    flat: dict[str, object] = {} if children else {path: data}
    for name, child in children:
        flat.update(flatten_json(child, f"{path}.{name}" if path else str(name)))
    return flat


def _show(flat: dict[str, object], path: str) -> str:
    return json.dumps(flat[path]) if path in flat else "absent"
