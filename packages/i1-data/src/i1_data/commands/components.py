"""Sources and filters as they are written on a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from i1_hooks import UserError, from_dict, get_registry
from i1_hooks.files import parse_json, user_path

from i1_data.filters import FilterConfig
from i1_data.sources import SourceConfig

SOURCE_HELP = (
    "a folder, file or prepared set, recognised by what it holds, "
    "or a component: NAME, NAME:FIELD=VALUE,... or JSON"
)


def parse_source(text: str, *, strict: bool = True) -> SourceConfig:
    """Returns the source that a user names.

    Raises:
        UserError: for a place that does not exist or holds nothing known, and an unknown component.
    """
    names = get_registry().components("sources")
    name = text.partition(":")[0]
    if text.startswith("{") or name in names:
        data = parse_json(text, "source") if text.startswith("{") else _component(text)
        loaded: Any = from_dict(SourceConfig, {"strict": strict, **data})
        return loaded
    return _source_at(text, user_path(text), strict=strict)


def parse_filter(text: str) -> FilterConfig:
    """Returns the filter that a user names: NAME, NAME:FIELD=VALUE,... or JSON.

    Raises:
        UserError: for an unknown component or a field that does not fit.
    """
    data = parse_json(text, "filter") if text.startswith("{") else _component(text)
    loaded: Any = from_dict(FilterConfig, data)
    return loaded


def _component(text: str) -> dict[str, Any]:
    name, _, fields = text.partition(":")
    data: dict[str, Any] = {"component": name}
    for assignment in filter(None, fields.split(",")):
        field, equals, value = assignment.partition("=")
        if not equals:
            raise UserError(f"{text!r}: expected NAME:FIELD=VALUE,..., got {assignment!r}")
        try:
            data[field] = parse_json(value, field)
        except UserError:
            data[field] = value
    return data


def _source_at(text: str, path: Path, *, strict: bool) -> SourceConfig:
    if path.is_file():
        kinds = {".parquet": ("parquet", "path"), ".tar": ("webdataset", "path"), ".zip": ("zip", "path")}
        lines = {".jsonl": ("jsonl", "manifest"), ".ndjson": ("jsonl", "manifest")}
        found = {**kinds, **lines}.get(path.suffix.lower())
        if found is None:
            raise UserError(f"{text!r} is no known kind of data; expected {', '.join({**kinds, **lines})}")
    elif path.is_dir():
        ends = {
            ".array_record": ("array_record", "root"),
            ".parquet": ("parquet", "path"),
            ".tar": ("webdataset", "path"),
        }
        names = [entry.name for entry in path.iterdir()]
        found = next((ends[end] for end in ends if any(name.endswith(end) for name in names)), None)
        if found is None and any(".tfrecord-" in name for name in names):
            found = ("tfrecord", "root")
        found = found or ("image_folder", "root")
    else:
        choices = ", ".join(get_registry().components("sources"))
        raise UserError(f"no file or folder {text!r}, and no source of that name; choices: {choices}")
    component, field = found
    loaded: Any = from_dict(SourceConfig, {"component": component, "strict": strict, field: text})
    return loaded
