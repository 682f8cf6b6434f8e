"""Writes `docs/rooms.md`: the rooms of every package, from the layers in `pyproject.toml` and the docstrings.

python docs/rooms.py
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rooms.md"

INTRODUCTION = """\
# Rooms

What is in each package, and which way imports go. A row imports from the rows below it, never from one above;
`lint-imports` checks the layers, which stand in the root `pyproject.toml`. `python docs/rooms.py` writes this
page from them and from the modules' docstrings, and a test says that it is current.

## Where things happen

| question | room |
| --- | --- |
{questions}
"""

QUESTIONS = {
    "Where does a prompt become tokens?": "i1_model.text_encoders",
    "Where is text adapted to the backbone?": "i1_model.adapters",
    "Where is the network of i1, top to bottom?": "i1_model.backbones.dual_stream",
    "Where are flow, time law and target defined?": "i1_model.flow",
    "Where is a loss defined?": "i1_train.objectives",
    "Where is one training step?": "i1_train.step",
    "Where does the loop run?": "i1_train.loop",
    "Where is a batch divided over devices?": "i1_train.devices.placement",
    "Where is a checkpoint written and verified?": "i1_train.checkpoints.manager",
    "Where is a message about a full disk written?": "i1_hooks.files",
    "Where is a message about full memory written?": "i1_train.process.out_of_memory",
    "Where are images read, whatever is wrong with them?": "i1_data.images",
    "Where is a model found, whatever form it has?": "i1_model.checkpoints.locate",
    "Where does noise become a picture?": "i1_sample.pipeline",
    "Where is a picture judged?": "i1_bench.engines",
    "Where is every kind of component specified?": "i1_hooks.hookspecs",
}


def render() -> str:
    """Returns the text of the page."""
    rows = "\n".join(f"| {question} | {_code(room)} |" for question, room in QUESTIONS.items())
    parts = [INTRODUCTION.format(questions=rows)]
    layers = _layers()
    for folder in sorted(ROOT.glob("packages/*/src/*")):
        if not (folder / "__init__.py").is_file():
            continue
        rooms = _rooms(folder)
        rows_of_package = layers.get(folder.name, [sorted(rooms)])
        named = [room for row in rows_of_package for room in row]
        missing = sorted(set(rooms) - set(named) - {"plugin", "__main__"})
        if missing:
            rows_of_package = [*rows_of_package, missing]
        parts.append(_section(folder.name, rooms, rows_of_package))
    return "\n".join(parts)


def _section(package: str, rooms: dict[str, str], rows: list[list[str]]) -> str:
    shown = [[room for room in row if room in rooms] for row in rows]
    shown = [row for row in shown if row]
    nodes = "\n".join(f'    row{i}["{" · ".join(row)}"]' for i, row in enumerate(shown))
    arrows = " --> ".join(f"row{i}" for i in range(len(shown)))
    table = "\n".join(f"| `{room}` | {rooms[room]} |" for row in shown for room in row)
    return (
        f"## {package.replace('_', '-')}\n\n```mermaid\ngraph TD\n{nodes}\n    {arrows}\n```\n\n"
        f"| room | holds |\n| --- | --- |\n{table}\n"
    )


def _rooms(folder: Path) -> dict[str, str]:
    """Returns the first sentence of every module and subpackage that lies directly in a package."""
    rooms = {}
    for path in sorted(folder.iterdir()):
        file = path / "__init__.py" if path.is_dir() else path
        if file.suffix != ".py" or not file.is_file() or path.name in ("__init__.py", "__main__.py"):
            continue
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        paragraph = " ".join(docstring.split("\n\n")[0].split())
        rooms[path.stem] = paragraph.replace("|", "\\|")
    return rooms


def _layers() -> dict[str, list[list[str]]]:
    """Returns the rows of every package that has a contract with layers, top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {}
    for contract in contracts:
        if contract["type"] == "layers" and len(contract.get("containers", ())) == 1:
            package = contract["containers"][0]
            if "." not in package:
                layers[package] = [
                    [room.strip(" ()") for room in row.replace(":", "|").split("|")]
                    for row in contract["layers"]
                ]
    return layers


def _code(rooms: str) -> str:
    return ", ".join(f"`{room}`" for room in rooms.split(", "))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
