"""Which prompt files there are, with their digests, and where a run takes them from."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from i1_hooks import UserError, unknown
from i1_hooks.files import decode_text, write_atomically

VARIABLE = "I1_BENCH_PROMPTS"
SOURCE = "https://raw.githubusercontent.com"
_TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class PromptFile:
    """A published file.

    Attributes:
        sha256: of its bytes.
        size: in bytes.
        url: where it is downloaded from; None when it cannot be.
    """

    sha256: str
    size: int
    url: str | None


@cache
def published_files() -> dict[str, PromptFile]:
    """Returns the published files by their names in a folder of prompts."""
    text = resources.files("i1_bench.prompts").joinpath("files.json").read_text(encoding="utf-8")
    record = json.loads(text)
    base = f"{SOURCE}/{record['repository']}/{record['commit']}"
    return {
        name: PromptFile(
            sha256=entry["sha256"],
            size=entry["bytes"],
            url=f"{base}/{entry['path']}" if entry["path"] else None,
        )
        for name, entry in record["files"].items()
    }


@dataclass(frozen=True, kw_only=True)
class PromptFolder:
    """A folder of prompt files.

    Attributes:
        path: of the folder; None downloads into the cache.
        verify: refuse files that are not the published ones.
    """

    path: Path | None
    verify: bool = True

    def read(self, name: str) -> str:
        """Returns the text of a file.

        Args:
            name: as in `published_files`.

        Raises:
            UserError: when the file is missing, cannot be downloaded, or is another version.
        """
        return decode_text(self.read_bytes(name), name)

    def read_bytes(self, name: str) -> bytes:
        """Returns the bytes of a file; see `read`."""
        if self.path is None:
            return download(name, cache_folder())
        path = self.path / name
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise UserError(
                f"no prompt file {path}; give the folder of all of them with --prompts DIR or {VARIABLE}"
            ) from error
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        if self.verify:
            check(name, data, str(path))
        return data


def find_folder(written: str, *, verify: bool = True) -> PromptFolder:
    """Returns the folder of prompts: the one given, that of `I1_BENCH_PROMPTS`, or the downloaded ones.

    Args:
        written: a path; empty when none was given.
        verify: see `PromptFolder`.

    Raises:
        UserError: for a path that is no folder.
    """
    chosen = written or os.environ.get(VARIABLE, "")
    if not chosen:
        return PromptFolder(path=None)
    path = Path(chosen).expanduser()
    if not path.is_dir():
        raise UserError(
            f"prompts {chosen}: no such folder; it holds geneval/, dpg_bench/, prism-bench/ and others"
        )
    return PromptFolder(path=path, verify=verify)


def cache_folder() -> Path:
    """Returns where downloaded prompt files are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "i1" / "bench-prompts"


def check(name: str, data: bytes, shown: str) -> None:
    """Raises a `UserError` when the bytes are not those of the published file."""
    known = published_files().get(name)
    if known is None:
        raise unknown("prompt file", name, published_files())
    found = hashlib.sha256(data).hexdigest()
    if found != known.sha256:
        raise UserError(
            f"{shown} is another version: sha256 {found[:16]}, {len(data)} bytes, not {known.sha256[:16]}, "
            f"{known.size} bytes; scores of it cannot be compared, --set verify=false takes it all the same"
        )


def download(name: str, folder: Path, *, source: str = SOURCE) -> bytes:
    """Returns a published file from the folder of downloads, fetching it when it is not there.

    Args:
        name: of the file.
        folder: of the downloads.
        source: the server, in place of `SOURCE`.

    Raises:
        UserError: when it cannot be fetched, or is another version.
    """
    known = published_files().get(name)
    if known is None:
        raise unknown("prompt file", name, published_files())
    path = folder / name
    if path.is_file():
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == known.sha256:
            return data
    if known.url is None:
        raise UserError(
            f"{name} cannot be downloaded; give the folder that holds it with --prompts DIR or {VARIABLE}"
        )
    url = known.url.replace(SOURCE, source)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            data = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"cannot download {url} ({error}); give a folder of prompts with --prompts DIR or {VARIABLE}"
        ) from error
    check(name, data, url)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    return data
