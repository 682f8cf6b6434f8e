"""The weights that come with the package."""

from __future__ import annotations

from pathlib import Path

from i1_hooks import UserError


def scenes() -> Path:
    """Returns the folder of the model that recipe `scenes` trains.

    Raises:
        UserError: when this copy of the package comes without it.
    """
    folder = Path(__file__).parent / "scenes"
    if not (folder / "config.json").is_file():
        raise UserError(
            f"this copy of i1-sample has no weights in {folder}: train them with "
            "`i1 train scenes --workdir DIR` and sample with `--model DIR`"
        )
    return folder
