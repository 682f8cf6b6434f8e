"""The input pipeline: an endless, resumable stream of training batches.

The stream is a fixed sequence of visits, numbered from 0. Visit p belongs to batch `p // batch_size`; which
record it shows, and which caption, is a function of the configuration, the seed and p alone. Threads, hosts
and interruptions therefore change nothing, and a position is one number. With aspect buckets a batch takes
the next visits of one bucket instead (`i1_data.buckets.Planner`); a position then says which visits wait.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import grain
import numpy as np
from i1_hooks import UserError

from i1_data import images
from i1_data.buckets import Planner, nearest_bucket
from i1_data.config import DataConfig
from i1_data.cut import candidates, num_places
from i1_data.sources import Record, Source

MAX_ATTEMPTS = 1000
"""How many records a visit may draw before the filters are said to leave nothing."""

SMALL = 2**16
"""Up to this size an epoch's order is one array; grain's shuffle tries `SMALL / size` times per index."""


def make_batches(
    config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    tokenize: Callable[[list[str]], Any],
    rows: Sequence[int] | None = None,
) -> Batches:
    """Opens the sources and returns the stream of batches from its beginning.

    Args:
        config: what to read.
        batch_size: images per training step over all hosts.
        seed: fixes shuffling, caption draws and the replacement of filtered records.
        tokenize: what turns the captions of a batch into `"tokens"`; called in background threads.
        rows: which rows of every batch this process reads, all by default. On several hosts each names those
            of its devices; together they are the batch of a single host.

    Raises:
        UserError: for sources that cannot be opened, a mixing that does not fit, or numbers out of range.
    """
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, got {batch_size}")
    rows = range(batch_size) if rows is None else rows
    if not rows or min(rows) < 0 or max(rows) >= batch_size:
        raise UserError(f"rows must be some of 0..{batch_size - 1}, got {list(rows)}")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed must be in 0..{2**32 - 1}, got {seed}")
    return Batches(config, batch_size, seed, tokenize, rows)


class Batches:
    """An endless iterator of batches; `make_batches` makes it.

    Each batch is a dict: `"image"` uint8 (n, resolution, resolution, 3), or (n, height, width, 3) of a
    bucket, `"tokens"` whatever `tokenize` returned, `"caption"` and `"key"` lists of n strings. Use it from
    one thread.
    """

    def __init__(
        self,
        config: DataConfig,
        batch_size: int,
        seed: int,
        tokenize: Callable[[list[str]], Any],
        rows: Sequence[int],
    ) -> None:
        self._config = config
        self._batch_size = batch_size
        self._seed = seed
        self._tokenize = tokenize
        self._rows = rows
        self._sources = [source.build() for source in config.sources]
        self._sizes = [len(source) for source in self._sources]
        for source, size in zip(config.sources, self._sizes, strict=True):
            if size == 0:
                raise UserError(f"{source} holds no records")
        places = [num_places(size, config.max_records) for size in self._sizes]
        self._proportions = config.mixing.proportions(places)
        visits = _visits(places, self._proportions, seed)
        draw = functools.partial(_draw, config, self._sources)
        self._records = visits.seed(seed).random_map(draw)
        # Equal seeds and steps: a visit chooses the same record here as above.
        self._buckets = visits.seed(seed).random_map(functools.partial(_find_bucket, config, self._sources))
        self._start(0)

    def _start(self, position: int, planned: dict[str, Any] | None = None) -> None:
        if self._config.buckets:
            self._planner = Planner(
                lambda visit: cast("int", self._buckets[visit]),
                len(self._config.buckets),
                self._batch_size,
                planned,
            )
            self._planned, self._taken = self._planner.state(), 0
            batches = _PlannedBatches(self._records, self._planner, self._rows, self._collate)
        else:
            own = _OwnRows(self._records, position, self._batch_size, self._rows)
            batches = own.batch(len(self._rows), batch_fn=self._collate)
        num_threads = self._config.num_threads if self._config.prefetch else 0
        read = grain.ReadOptions(
            num_threads=num_threads, prefetch_buffer_size=self._config.prefetch if num_threads else 0
        )
        self._iterator = iter(batches.to_iter_dataset(read))
        self._position = position

    def _collate(self, elements: Sequence[tuple[np.ndarray, str, str]]) -> dict[str, Any]:
        pixels, captions, keys = zip(*elements, strict=True)
        return {
            "image": np.stack(pixels),
            "tokens": self._tokenize(list(captions)),
            "caption": list(captions),
            "key": list(keys),
        }

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> dict[str, Any]:
        batch = next(self._iterator)
        self._position += self._batch_size
        if self._config.buckets:
            self._planned = self._planner.plan(self._taken).after
            self._taken += 1
            self._planner.forget(self._taken)
        return batch

    def get_state(self) -> dict[str, Any]:
        """Returns the position as JSON-ready data; it is the same on every host.

        It counts visits, so that a run may go on with another batch size or another number of hosts.
        """
        return {
            "position": self._position,
            "seed": self._seed,
            "sizes": list(self._sizes),
            "proportions": list(self._proportions),
            **({"max_records": self._config.max_records} if self._config.max_records else {}),
            **(
                {"buckets": [list(b) for b in self._config.buckets], **self._planned}
                if self._config.buckets
                else {}
            ),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes to a position that `get_state` returned.

        Raises:
            UserError: when the state belongs to another seed or to sources of other sizes or proportions,
                where it would mean other images.
        """
        here = self.get_state()
        for name in ("seed", "sizes", "proportions", "max_records", "buckets"):
            if state.get(name) != here.get(name):
                raise UserError(
                    f"the saved data position was made with {name} {state.get(name)}, "
                    f"the data now has {here.get(name)}; restore the run's data and seed, or start a new run"
                )
        self.close()
        self._start(int(state["position"]), state)

    def close(self) -> None:
        """Stops the background threads."""
        self._iterator.close()


def _visits(sizes: Sequence[int], proportions: Sequence[float], seed: int) -> grain.MapDataset:
    """Returns the endless sequence of (source, place) indices: shuffled every epoch, then mixed."""
    parts: list[grain.MapDataset] = []
    for source, size in enumerate(sizes):
        if size <= SMALL:
            order = _SmallShuffle(size, [seed, source])
        else:
            shuffle_seed = int(np.random.SeedSequence([seed, source]).generate_state(1)[0])
            order = grain.MapDataset.range(size).shuffle(seed=shuffle_seed).repeat()
        parts.append(order.map(functools.partial(_pair, source)))
    return grain.MapDataset.mix(parts, weights=proportions) if len(parts) > 1 else parts[0]


def _pair(source: int, place: int) -> tuple[int, int]:
    return source, place


def _draw(
    config: DataConfig, sources: Sequence[Source], visit: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, str, str]:
    """Returns the prepared image, the caption and the key of one visit."""
    record = _choose(config, sources, visit, rng)
    size = config.buckets[_bucket(config, record)] if config.buckets else config.resolution
    try:
        pixels = images.prepare(record["image"], size, name=record["key"])
        return pixels, config.captioner.caption(record["captions"], rng), record["key"]
    except UserError as error:
        raise UserError(f"{config.sources[visit[0]]}: {error}") from error


def _find_bucket(
    config: DataConfig, sources: Sequence[Source], visit: tuple[int, int], rng: np.random.Generator
) -> int:
    """Returns the bucket of one visit; only the header of an encoded image is read."""
    record = _choose(config, sources, visit, rng)
    try:
        return _bucket(config, record)
    except UserError as error:
        raise UserError(f"{config.sources[visit[0]]}: {error}") from error


def _bucket(config: DataConfig, record: Record) -> int:
    return nearest_bucket(config.buckets, *images.upright_size(record["image"], name=record["key"]))


def _choose(
    config: DataConfig, sources: Sequence[Source], visit: tuple[int, int], rng: np.random.Generator
) -> Record:
    """Returns the record of one visit.

    A record that a filter drops is replaced by another one of the same source (`i1_data.cut.candidates`), so
    that proportions hold whatever the filters drop.
    """
    source_index, place = visit
    source = sources[source_index]
    where = config.sources[source_index]
    size = len(source)
    numbers = candidates(size, num_places(size, config.max_records), place, rng)
    for number in itertools.islice(numbers, MAX_ATTEMPTS):
        record: Record = source[number]
        try:
            if all(keeper.keep(record) for keeper in config.filters):
                return record
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    raise UserError(
        f"{where}: {', '.join(map(str, config.filters))} dropped {MAX_ATTEMPTS} records in a row; "
        "loosen them or leave this source out"
    )


class _SmallShuffle(grain.MapDataset):
    """The endless sequence of the numbers below `size`, every epoch in another random order."""

    def __init__(self, size: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self._size = size
        self._seeds = seeds
        self._order = functools.lru_cache(maxsize=4)(self._shuffle)  # threads may be in different epochs

    def _shuffle(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([*self._seeds, epoch]).permutation(self._size)

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: Any) -> Any:
        epoch, row = divmod(index, self._size)
        return int(self._order(epoch)[row])


class _PlannedBatches(grain.MapDataset):
    """The batches of a planner: of each, the rows that belong to one host."""

    def __init__(
        self,
        parent: grain.MapDataset,
        planner: Planner,
        rows: Sequence[int],
        collate: Callable[[Sequence[Any]], dict[str, Any]],
    ) -> None:
        super().__init__(parent)
        self._planner = planner
        self._rows = rows
        self._collate = collate

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: Any) -> Any:
        visits = self._planner.plan(index).visits
        return self._collate([self._parent[visits[row]] for row in self._rows])


class _OwnRows(grain.MapDataset):
    """The rows of every batch that belong to one host, from a position of the stream on."""

    def __init__(self, parent: grain.MapDataset, position: int, batch_size: int, rows: Sequence[int]) -> None:
        super().__init__(parent)
        self._offset = position
        self._batch_size = batch_size
        self._rows = rows

    def __len__(self) -> int:
        return (sys.maxsize - self._offset) // self._batch_size * len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        batch, row = divmod(index, len(self._rows))
        return self._parent[self._offset + batch * self._batch_size + self._rows[row]]
