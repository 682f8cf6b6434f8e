"""The endless sequence of visits: which place of which source comes when, and which rows belong to a host."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import grain
import numpy as np
from i1_hooks import UserError

from i1_data.planner import Planner

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 2**16
"""Up to this size an epoch's order is one array; grain's shuffle tries `SMALL / size` times per index."""

ENDLESS = 2**52
"""The length of a sequence without end; grain divides lengths as floats, exact up to 2**53."""


def return_errors(function: Callable[P, T]) -> Callable[P, T | UserError]:
    """Returns a function that returns mistakes of users, which grain would bury in words of its own."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | UserError:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            return error

    return call


def make_visits(sizes: Sequence[int], proportions: Sequence[float], seed: int) -> grain.MapDataset:
    """Returns the endless sequence of (source, place) indices: shuffled every epoch, then mixed.

    Args:
        sizes: places of each source.
        proportions: how often each is visited, relative to the others.
        seed: fixes the orders.
    """
    parts: list[grain.MapDataset] = []
    for source, size in enumerate(sizes):
        if size <= SMALL:
            order = SmallShuffle(size, [seed, source])
        else:
            shuffle_seed = int(np.random.SeedSequence([seed, source]).generate_state(1)[0])
            order = grain.MapDataset.range(size).shuffle(seed=shuffle_seed).repeat()
        parts.append(order.map(functools.partial(_pair, source)))
    return grain.MapDataset.mix(parts, weights=proportions) if len(parts) > 1 else parts[0]


def _pair(source: int, place: int) -> tuple[int, int]:
    return source, place


class SmallShuffle(grain.MapDataset):
    """The endless sequence of the numbers below `size`, every epoch in another random order."""

    def __init__(self, size: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self._size = size
        self._seeds = seeds
        self._order = functools.lru_cache(maxsize=4)(self._shuffle)  # threads may be in different epochs

    def _shuffle(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([*self._seeds, epoch]).permutation(self._size)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: Any) -> Any:
        epoch, row = divmod(index, self._size)
        return int(self._order(epoch)[row])


class PlannedBatches(grain.MapDataset):
    """The batches of a planner: of each, the rows that belong to one host."""

    def __init__(
        self,
        parent: grain.MapDataset,
        planner: Planner,
        rows: Sequence[int],
        collate: Callable[[Sequence[Any]], dict[str, Any] | UserError],
    ) -> None:
        super().__init__(parent)
        self._planner = planner
        self._rows = rows
        self._collate = collate

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: Any) -> Any:
        visits = return_errors(self._planner.plan)(index)
        if isinstance(visits, UserError):
            return visits
        return self._collate([self._parent[visits.visits[row]] for row in self._rows])


class OwnRows(grain.MapDataset):
    """The rows of every batch that belong to one host, from a position of the stream on."""

    def __init__(self, parent: grain.MapDataset, position: int, batch_size: int, rows: Sequence[int]) -> None:
        super().__init__(parent)
        self._offset = position
        self._batch_size = batch_size
        self._rows = rows

    def __len__(self) -> int:
        return (ENDLESS - self._offset) // self._batch_size * len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        batch, row = divmod(index, len(self._rows))
        return self._parent[self._offset + batch * self._batch_size + self._rows[row]]
