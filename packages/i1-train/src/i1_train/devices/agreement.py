"""What the hosts of a run tell each other outside their devices: values, failures, and digests to compare.

Messages go through the key-value store of `jax.distributed`, so this works before anything is compiled and
from any thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_train.flat_json import differences

FAILED = "i1/failed/"
POLL_SECONDS = (0.01, 0.5)
"""Shortest and longest pause between two reads of the store."""

LONGEST = 500
"""Characters of an error message that other hosts are told."""

_rounds: Counter[str] = Counter()


def exchange(name: str, value: str) -> list[str]:
    """Returns the value of every host, in the order of their numbers; waits until the last host has sent its
    own.

    Args:
        name: what is exchanged. Every host exchanges the same names equally often.
        value: the value of this host.

    Raises:
        UserError: when another host failed before it got here, with that host's error.
    """
    cluster = _cluster_of_many()
    if cluster is None:
        return [value]
    _rounds[name] += 1
    place = f"i1/exchange/{name}/{_rounds[name]}/"
    cluster.client.key_value_set(f"{place}{cluster.process_id}", value)
    wait, longest = POLL_SECONDS
    while len(values := _read(cluster, place)) < cluster.num_processes:
        failed = _read(cluster, FAILED)
        # A host may have sent its value since the first read, and then failed because of what the values say.
        if failed and len(values := _read(cluster, place)) < cluster.num_processes:
            host = min(failed)
            raise UserError(f"host {host}: {failed[host]}")
        if not failed:
            time.sleep(wait)
            wait = min(2 * wait, longest)
    return [values[host] for host in sorted(values)]


@contextlib.contextmanager
def fail_together(name: str) -> Iterator[None]:
    """Runs a block on every host; when it fails on one, it fails on all.

    Inside the block, a host must not wait for other hosts in any other way.

    Args:
        name: as for `exchange`.

    Raises:
        UserError: for a failure on another host.
    """
    try:
        yield
    except Exception as error:
        exchange(name, describe_failure(error))
        raise
    for host, failure in enumerate(exchange(name, "")):
        if failure:
            raise UserError(f"host {host}: {failure}")


def report_failure(error: BaseException) -> None:
    """Tells hosts that wait in `exchange` that this host has failed and will not send its value."""
    if (cluster := _cluster()) is not None:
        place = f"{FAILED}{cluster.process_id}"
        cluster.client.key_value_set(place, describe_failure(error), allow_overwrite=True)


def check_same_on_all_hosts(name: str, data: object) -> None:
    """Checks that JSON-ready data is the same on every host.

    Args:
        name: what the data is, for the message.
        data: the data of this host.

    Raises:
        UserError: naming the first value that differs; every host raises the same.
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


def describe_failure(error: BaseException) -> str:
    """Returns an error as one short line: its message, or its type when it has none."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else error
    return one_line(text)[:LONGEST]


def _cluster() -> Any:
    """Returns the state of `jax.distributed`, `None` when this process has joined no others."""
    from jax._src import distributed  # jax has no public access to this store

    return distributed.global_state if distributed.global_state.client is not None else None


def _cluster_of_many() -> Any:
    """Returns the state of `jax.distributed` when there are several processes, else `None`."""
    cluster = _cluster()
    if cluster is None and jax.process_count() > 1:
        raise UserError(
            f"there are {jax.process_count()} processes that have not joined each other; call "
            "jax.distributed.initialize() before anything else, or start with i1 train --distributed on"
        )
    return cluster if cluster is not None and cluster.num_processes > 1 else None


def _read(cluster: Any, place: str) -> dict[int, str]:
    """Returns the values below a place by host number."""
    return {int(key.rsplit("/", 1)[1]): value for key, value in cluster.client.key_value_dir_get(place)}
