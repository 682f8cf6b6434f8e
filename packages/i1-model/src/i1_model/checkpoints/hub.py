"""Repositories on the Hugging Face Hub, through its cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from i1_hooks import UserError

REVISIONS: dict[str, str] = {
    "zlab-princeton/i1-3B": "main",
    "zlab-princeton/i1-1B": "main",
    "google/t5gemma-2b-2b-ul2-it": "main",
    "black-forest-labs/FLUX.2-dev": "main",
}
"""The revision of each repository that i1 downloads: a branch, a tag, or a commit hash to pin it."""
LICENCES = {
    "google/t5gemma": "the Gemma Terms of Use",
    "black-forest-labs/FLUX.2-dev": "the FLUX.2-dev Non-Commercial License",
    "black-forest-labs/FLUX.1-dev": "the FLUX.1-dev Non-Commercial License",
}
"""The licence to accept, by the beginning of the repository's name."""
_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")


@dataclass(frozen=True)
class Snapshot:
    """A repository on this machine.

    Attributes:
        repository: `owner/name`.
        folder: the folder of the requested files.
        commit: the commit hash of the revision.
    """

    repository: str
    folder: Path
    commit: str


def is_repository(name: str) -> bool:
    """Tells whether a text has the form `owner/name` or `owner/name@revision`."""
    return _NAME.fullmatch(name) is not None


def fetch(name: str, patterns: Sequence[str], *, revision: str | None = None, instead: str) -> Snapshot:
    """Returns the files of a repository, downloaded unless they are in the Hub's cache.

    `HF_HUB_OFFLINE=1` looks into the cache alone; `HF_HOME`, `HF_ENDPOINT` and `HF_TOKEN` work as everywhere.
    A file has another name until it is complete, so a broken download leaves no damaged file.

    Args:
        name: `owner/name`, or `owner/name@revision`.
        patterns: patterns of the wanted files, as in `fnmatch`.
        revision: a branch, a tag or a commit hash; None takes that of `REVISIONS`, else `main`.
        instead: how to give a local copy, for messages; for example `--vae FOLDER`.

    Raises:
        UserError: for a gated, absent or unreachable repository, an absent revision, or two of them.
    """
    match = _NAME.fullmatch(name)
    assert match is not None
    repository, pinned = match[1], match[2]
    if pinned and revision and pinned != revision:
        raise UserError(
            f"{name!r} names revision {pinned!r}, and {revision!r} is given as well: leave one out"
        )
    try:
        from huggingface_hub import errors, snapshot_download
    except ModuleNotFoundError as error:
        raise UserError(
            f"{repository!r} is not a folder here; to download it from the Hugging Face Hub, pip install "
            f"'i1-model[hub]', or give {instead}"
        ) from error
    revision = revision or pinned or REVISIONS.get(repository, "main")
    page = f"https://huggingface.co/{repository}"
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except errors.GatedRepoError as error:
        raise UserError(
            f"{repository} is gated: accept {_licence(repository)} at {page}, log in with `hf auth login` "
            f"(or set HF_TOKEN), and try again; or give {instead}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{repository} has no revision {revision!r}: see {page}/commits") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{repository} is neither a folder here nor a repository on the Hub that you may read: check the "
            f"name, log in with `hf auth login` if it is private, or give {instead}"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise UserError(
            f"{repository} (revision {revision}) is neither a folder here nor in the Hub's cache, and the "
            f"Hub is off (HF_HUB_OFFLINE) or out of reach: download it once with `hf download {repository} "
            f"--revision {revision}`, or give {instead}"
        ) from error
    except errors.HfHubHTTPError as error:
        raise UserError(f"{repository}: the Hub answered {_first_line(error)}; try again later") from error
    except OSError as error:
        raise UserError(f"cannot download {repository}: {_first_line(error)}") from error
    return Snapshot(repository, folder, folder.name)


def _licence(repository: str) -> str:
    found = [licence for prefix, licence in LICENCES.items() if repository.startswith(prefix)]
    return found[0] if found else "its licence"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
