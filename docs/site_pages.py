"""Pages of the site that are made from files outside `docs/`: the README, the packages' READMEs, the API.

mkdocs calls the functions whose names begin with `on_`. A relative link to a file that is no page of the site
shows as plain text, since the site does not hold the source tree.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the READMEs, the notes for contributors and one page for each room of each package."""
    for source, page in _outside().items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for page, content in api_pages().items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Points the links of a page at pages of the site; mkdocs passes all four arguments by name."""
    source = _source_of(page.file.src_uri)
    return _LINK.sub(lambda match: _relink(match, source, page.file.src_uri, files), markdown)


def api_pages() -> dict[str, str]:
    """Returns the text of one page for each room of each package, by the page's path."""
    pages = {}
    for package in sorted(ROOT.glob("packages/*/src/*/__init__.py")):
        folder = package.parent
        rooms = [room for room in sorted(folder.iterdir()) if (room / "__init__.py").exists()]
        for room in [folder, *rooms]:
            modules = sorted(room.glob("*.py")) if room == folder else sorted(room.rglob("*.py"))
            named = [_dotted(module) for module in modules if not module.stem.startswith("_")]
            if named:
                title = _dotted(room / "__init__.py")
                blocks = "\n".join(f"::: {name}\n" for name in named)
                pages[f"api/{title}.md"] = f"# {title}\n\n{blocks}"
    return pages


def _dotted(module: Path) -> str:
    parts = module.with_suffix("").parts
    parts = parts[len(parts) - 1 - parts[::-1].index("src") + 1 :]
    return ".".join(part for part in parts if part != "__init__")


def _outside() -> dict[str, str]:
    """Returns the files outside `docs/` that are pages, by their path in the repository."""
    pages = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    for readme in sorted(ROOT.glob("p*/*/README.md")):
        pages[readme.relative_to(ROOT).as_posix()] = f"packages/{readme.parent.name}.md"
    return pages


def _source_of(page: str) -> str:
    """Returns the path in the repository of the file that a page was made from."""
    return next((source for source, made in _outside().items() if made == page), f"docs/{page}")


def _relink(match: re.Match[str], source: str, page: str, files: Files) -> str:
    mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
    if not target or ":" in target:
        return match[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    made = _outside().get(path) or _outside().get(f"{path}/README.md")
    if made is None and path.startswith("docs/"):
        made = path.removeprefix("docs/")
    if made is not None and files.get_file_from_path(made) is not None:
        return f"{mark}[{text}]({posixpath.relpath(made, posixpath.dirname(page) or '.')}{anchor})"
    if not (ROOT / path).exists():
        return match[0]  # the strict build names it
    return text
