"""Batches of one bucket each, planned from the stream of visits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """One batch: which visits of the stream it holds, all of one bucket.

    Attributes:
        visits: their numbers, in order.
        after: the state of the planner once the batch is made.
    """

    visits: tuple[int, ...]
    after: dict[str, Any]


class Planner:
    """Sorts the visits of the stream into batches of one bucket each.

    Visits are taken in order. Each waits in its bucket until there is a batch of them, so that nothing is
    dropped and every image is shown as often as in the stream. Batch n is a function of the stream alone, and
    the state is JSON-ready.

    Args:
        bucket_of: the bucket of a visit.
        num_buckets: how many there are.
        batch_size: visits per batch.
        state: where to resume; the beginning by default.
    """

    def __init__(
        self,
        bucket_of: Callable[[int], int],
        num_buckets: int,
        batch_size: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._bucket_of = bucket_of
        self._batch_size = batch_size
        self._next = int(state["next"]) if state else 0
        self._waiting = [list(w) for w in state["waiting"]] if state else [[] for _ in range(num_buckets)]
        self._made: deque[Plan] = deque()
        self._first = 0
        self._lock = threading.Lock()

    def plan(self, index: int) -> Plan:
        """Returns batch `index`, counted from where the planner began; threads may ask out of order."""
        with self._lock:
            while self._first + len(self._made) <= index:
                self._made.append(self._make())
            return self._made[index - self._first]

    def forget(self, before: int) -> None:
        """Drops the plans of batches before an index, which nobody asks for again."""
        with self._lock:
            while self._first < before and self._made:
                self._made.popleft()
                self._first += 1

    def state(self) -> dict[str, Any]:
        """Returns the state before the first plan that is not made."""
        return {"next": self._next, "waiting": [list(waiting) for waiting in self._waiting]}

    def _make(self) -> Plan:
        full = next((w for w in self._waiting if len(w) >= self._batch_size), None)
        while full is None:
            waiting = self._waiting[self._bucket_of(self._next)]
            waiting.append(self._next)
            self._next += 1
            full = waiting if len(waiting) >= self._batch_size else None
        visits = tuple(full[: self._batch_size])
        del full[: self._batch_size]
        return Plan(visits, self.state())
