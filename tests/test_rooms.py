"""The page that shows the rooms of every package is what its script writes, and names rooms that exist."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def load_script():
    spec = importlib.util.spec_from_file_location("rooms_page", ROOT / "docs" / "rooms.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_page_is_current():
    script = load_script()
    assert script.PAGE.read_text(encoding="utf-8") == script.render(), "run: python docs/rooms.py"


def test_every_question_is_answered_by_a_module_that_exists():
    for rooms in load_script().QUESTIONS.values():
        for room in rooms.split(", "):
            assert importlib.util.find_spec(room) is not None, room


def test_every_room_says_what_it_holds():
    script = load_script()
    for folder in ROOT.glob("packages/*/src/*"):
        if (folder / "__init__.py").is_file():
            silent = [name for name, holds in script._rooms(folder).items() if not holds]
            assert not silent, (folder.name, silent)
