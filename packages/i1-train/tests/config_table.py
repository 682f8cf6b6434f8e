"""The table of `TrainConfig`'s fields in docs/training.md, made from the fields themselves.

`uv run python packages/i1-train/tests/config_table.py` writes it; a test says whether it is current.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from pathlib import Path

from i1_hooks import to_dict
from i1_train.config import MAY_CHANGE, Average, Checkpointing, TrainConfig
from i1_train.devices.machines import Hardware
from i1_train.guard import Guard
from i1_train.held_out import HeldOut

DOCUMENT = Path(__file__).parents[3] / "docs" / "training.md"
BEGIN, END = "<!-- config table: begin -->", "<!-- config table: end -->"
GROUPS = {
    "average": Average,
    "guard": Guard,
    "held_out": HeldOut,
    "checkpoints": Checkpointing,
    "hardware": Hardware,
}
"""Fields whose own fields have rows of their own."""
LONGEST = 40
"""Characters of a default that the table shows."""


def rows(config: type = TrainConfig, path: str = "", changeable: bool = False) -> list[str]:
    """Returns the table's rows for the fields of a record and of the groups in it."""
    texts = descriptions(config)
    hints = typing.get_type_hints(config)
    found = []
    for field in dataclasses.fields(config):
        name = f"{path}{field.name}"
        may_change = changeable or MAY_CHANGE.items() <= field.metadata.items()
        group = hints[field.name] if hints[field.name] in GROUPS.values() else None
        default = "" if group else default_of(field)
        found.append(f"| `{name}` | {default} | {'yes' if may_change else ''} | {texts[field.name]} |")
        if group:
            found.extend(rows(group, f"{name}.", may_change))
    return found


def descriptions(config: type) -> dict[str, str]:
    """Returns the text of every field from the section `Attributes` of the docstring."""
    section = inspect.cleandoc(config.__doc__ or "").split("Attributes:\n")[1].split("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).replace("|", "\\|") for name, text in entries}


def default_of(field: dataclasses.Field) -> str:
    """Returns the default as JSON; nothing for a field that has none, or a long one."""
    if field.default is not dataclasses.MISSING:
        text = json.dumps(to_dict(field.default))
    elif field.default_factory is not dataclasses.MISSING:
        value = to_dict(field.default_factory())
        text = json.dumps(value["component"] if isinstance(value, dict) and "component" in value else value)
    else:
        return "required"
    return f"`{text}`" if len(text) <= LONGEST else "see `--show`"


def table() -> str:
    """Returns the lines between the two marks."""
    head = ["| field | default | may change on resume | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([BEGIN, *head, *rows(), END])


def with_table(document: str) -> str:
    """Returns the document with the current table."""
    before, rest = document.split(BEGIN)
    return before + table() + rest.split(END)[1]


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
