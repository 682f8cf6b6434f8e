"""What the hosts of a run tell each other beside their devices: values, errors, and whether they are alike.

It goes through the key-value store of `jax.distributed`, so that it works before anything is compiled, and
from any thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from i1_hooks import UserError

from i1_train.workdir import LOCK, differences

FAILED = "i1/failed/"
WAITS = (0.01, 0.5)
"""Seconds between two looks at the store: at first, and at most."""

LONGEST = 500
"""Characters of an error that others are told."""

_rounds: Counter[str] = Counter()


def exchange(name: str, value: str) -> list[str]:
    """Returns the values of all hosts, in the order of their numbers; waits until the last has given its own.

    Args:
        name: of what is exchanged. Every host exchanges the same names equally often.
        value: this host's.

    Raises:
        UserError: when another host failed on its way here, with its error.
    """
    meeting = _meeting()
    if meeting is None:
        return [value]
    _rounds[name] += 1
    place = f"i1/exchange/{name}/{_rounds[name]}/"
    meeting.client.key_value_set(f"{place}{meeting.process_id}", value)
    wait, longest = WAITS
    while len(values := _read(meeting, place)) < meeting.num_processes:
        failed = _read(meeting, FAILED)
        # A host may have given its value since the first look, and failed over what the values say.
        if failed and len(values := _read(meeting, place)) < meeting.num_processes:
            host = min(failed)
            raise UserError(f"host {host}: {failed[host]}")
        if not failed:
            time.sleep(wait)
            wait = min(2 * wait, longest)
    return [values[host] for host in sorted(values)]


@contextlib.contextmanager
def together(name: str) -> Iterator[None]:
    """Runs a block on every host: when it fails on one, it fails on all.

    The block must not wait for other hosts in any other way.

    Args:
        name: as for `exchange`.

    Raises:
        UserError: for what failed on another host.
    """
    try:
        yield
    except Exception as error:
        exchange(name, one_line(error))
        raise
    for host, failure in enumerate(exchange(name, "")):
        if failure:
            raise UserError(f"host {host}: {failure}")


def tell_failure(error: BaseException) -> None:
    """Lets the hosts that wait in an `exchange` know that this one does not come."""
    if (meeting := _joined()) is not None:
        meeting.client.key_value_set(f"{FAILED}{meeting.process_id}", one_line(error), allow_overwrite=True)


def check_alike(name: str, data: Any) -> None:
    """Makes sure that JSON-ready data is the same on every host.

    Args:
        name: of the data, for the message.
        data: this host's.

    Raises:
        UserError: naming the first value that differs, on every host alike.
    """
    text = json.dumps(data, sort_keys=True)
    if len(set(exchange(f"digest of {name}", hashlib.sha256(text.encode()).hexdigest()))) == 1:
        return
    texts = exchange(name, text)
    other = next(host for host, found in enumerate(texts) if found != texts[0])
    differing = list(differences(json.loads(texts[0]), json.loads(texts[other])).values())
    rest = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
    raise UserError(
        f"host {other} has another {name} than host 0: {differing[0]}{rest}; start every host with the same "
        "command, versions and data"
    )


def check_shared(workdir: Path) -> None:
    """Makes sure that all hosts see the folder that the first one holds.

    Raises:
        UserError: when one does not.
    """
    text = (workdir / LOCK).read_text(encoding="utf-8")
    of_first = next(filter(None, exchange("lock", text if jax.process_index() == 0 else "")))
    with together("shared workdir"):
        if text != of_first:
            raise UserError(
                f"workdir {workdir} is not the first host's; choose a folder that all hosts share"
            )


def one_line(error: BaseException) -> str:
    """Returns an error as one line: its words, or its type when it has none."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:LONGEST] or type(error).__name__


def _joined() -> Any:
    """Returns what `jax.distributed` knows of its processes, `None` for one that joined no others."""
    from jax._src import distributed  # jax shows the store of its processes nowhere else

    return distributed.global_state if distributed.global_state.client is not None else None


def _meeting() -> Any:
    """Returns the same where there are several processes, else `None`."""
    meeting = _joined()
    if meeting is None and jax.process_count() > 1:
        raise UserError(
            f"there are {jax.process_count()} processes that do not know each other; call "
            "jax.distributed.initialize() before anything else, or start with i1 train --distributed on"
        )
    return meeting if meeting is not None and meeting.num_processes > 1 else None


def _read(meeting: Any, place: str) -> dict[int, str]:
    """Returns the values below a place by the number of the host."""
    return {int(key.rsplit("/", 1)[1]): value for key, value in meeting.client.key_value_dir_get(place)}
