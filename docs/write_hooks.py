"""Writes into docs/hooks/ what the specifications and the conformance suites say.

`python docs/write_hooks.py` brings three parts of every page up to date: its title and first sentence, its
example, and what its conformance suite demands. The rest of a page is written by hand.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from i1_hooks.hookspecs import KINDS, SPECIFICATIONS, SUITES
from i1_hooks.testing import FUNCTION_KINDS, ComponentSuite

PAGES = Path(__file__).parent / "hooks"
WIDTH = 116

SPECIFICATION = {
    name: value for module in SPECIFICATIONS for name, value in vars(module).items() if name.startswith("i1_")
}
"""Every hook, with the function that specifies it."""

EVENTS = sorted(set(SPECIFICATION) - {f"i1_{kind}" for kind in KINDS})


def example_of(hook: str) -> str:
    """Returns the plugin file in the docstring of a specification."""
    _, found, example = (inspect.getdoc(SPECIFICATION[hook]) or "").partition("Example:\n")
    if not found:
        raise ValueError(f"the specification of {hook} has no example")
    return textwrap.dedent(example).strip().replace("'''", '"""') + "\n"


def title_of(kind: str) -> str:
    """Returns the first lines of the page of a kind."""
    return f"# {kind}\n\n{KINDS[kind][0].upper()}{KINDS[kind][1:]}.\n"


def suite_of(kind: str) -> type[ComponentSuite]:
    """Returns the conformance suite of a kind."""
    module, _, name = SUITES[kind].partition(":")
    return cast("type[ComponentSuite]", getattr(importlib.import_module(module), name))


def demands_of(suite: type[ComponentSuite]) -> Iterator[str]:
    """Yields what a suite demands: the first line of the docstring of every check, inherited ones first."""
    seen = set()
    for part in reversed(suite.__mro__):
        for name in vars(part):
            if name.startswith("test_") and name not in seen:
                seen.add(name)
                yield (inspect.getdoc(getattr(suite, name)) or "").partition("\n")[0]


def attributes_of(suite: type[ComponentSuite]) -> Iterator[tuple[str, str]]:
    """Yields the attributes of a suite with what their docstrings say, inherited ones first."""
    for part in reversed(suite.__mro__):
        _, _, text = inspect.cleandoc(vars(part).get("__doc__") or "").partition("Attributes:\n")
        block = textwrap.dedent(re.split(r"\n\n", text)[0])
        for name, meaning in re.findall(r"^(\w+): (.*(?:\n\s+.*)*)", block, re.MULTILINE):
            yield name, " ".join(meaning.split())


def tests_of(kind: str) -> str:
    """Returns the text that says how a component of a kind is checked."""
    if kind in FUNCTION_KINDS:
        number = ("no arguments", "one argument")[FUNCTION_KINDS[kind]]
        json = ", and what it returns survives JSON" if kind == "recipes" else ""
        return _filled(
            "`i1_hooks.testing.check_plugin` is the conformance suite of this kind: the function can be "
            f"imported, has a docstring and takes {number}{json}. The other test is this plugin's own."
        )
    suite = suite_of(kind)
    name = f"{suite.__module__}.{suite.__qualname__}"
    lines = [
        _filled(
            "`i1_hooks.testing.check_plugin` checks what holds for every plugin. The conformance suite of "
            f"this kind is `{name}`. A test class inherits from it and sets"
        ),
        *(_item(f"`{attribute}`: {meaning}") for attribute, meaning in attributes_of(suite)),
        "\nIt demands:\n",
        *(_item(demand) for demand in demands_of(suite)),
    ]
    return "\n".join([lines[0] + "\n", *lines[1:]])


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def page_of(kind: str, written: str) -> str:
    """Returns the page of a kind, with its generated parts brought up to date."""
    page = re.sub(r"\A# .*\n\n.*\n", lambda _: title_of(kind), written)
    example = f"```python\n{example_of(f'i1_{kind}')}```"
    start = "## Example\n\nA complete plugin; save it as `my_plugin.py`.\n\n"
    page = _replaced(page, r"## Example\n.*?```python\n.*?```", start + example)
    return _replaced(page, r"## Tests\n.*?(?=```python\n)", f"## Tests\n\n{tests_of(kind)}\n\n")


def events_page(written: str) -> str:
    """Returns the page of events, with their examples brought up to date."""
    for event in EVENTS:
        block = rf"(## {event}\n.*?```python\n).*?```"
        if not re.search(block, written, re.DOTALL):
            raise ValueError(f"the page of events has no section {event}")
        written = re.sub(
            block,
            lambda found, event=event: f"{found[1]}{example_of(event)}```",
            written,
            count=1,
            flags=re.DOTALL,
        )
    return written


def _replaced(page: str, pattern: str, text: str) -> str:
    changed, count = re.subn(pattern, lambda _: text, page, count=1, flags=re.DOTALL)
    if not count:
        raise ValueError(f"a page has no part {pattern!r}")
    return changed


def pages() -> dict[Path, str]:
    """Returns every page as it should be."""
    made = {PAGES / f"{kind}.md": page_of(kind, (PAGES / f"{kind}.md").read_text()) for kind in KINDS}
    events = PAGES / "events.md"
    return {**made, events: events_page(events.read_text())}


if __name__ == "__main__":
    for path, text in pages().items():
        if path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path}")
