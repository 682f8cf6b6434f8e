"""The input pipeline: an endless, resumable stream of training batches.

The stream is a fixed sequence of visits, numbered from 0. Visit p belongs to batch `p // batch_size`; which
record it shows, and which caption, is a function of the configuration, the seed and p alone. Threads, hosts
and interruptions therefore change nothing, and a position is one number. With aspect buckets a batch takes
the next visits of one bucket instead (`i1_data.planner.Planner`); a position then says which visits wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import grain
import numpy as np
from i1_hooks import UserError

from i1_data.config import DataConfig
from i1_data.mixings import check_proportions
from i1_data.planner import Planner
from i1_data.reading import Reader, Sample
from i1_data.subset import num_places
from i1_data.visits import OwnRows, PlannedBatches, make_visits, return_errors


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
        self._reader = Reader(config)
        self._sizes = self._reader.sizes
        places = [num_places(size, config.max_records) for size in self._sizes]
        self._proportions = check_proportions(config.mixing, places)
        visits = make_visits(places, self._proportions, seed)
        self._records = visits.seed(seed).random_map(return_errors(self._reader.draw))
        # Equal seeds and steps: a visit chooses the same record here as above.
        self._buckets = visits.seed(seed).random_map(self._reader.find_bucket)
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
            batches = PlannedBatches(self._records, self._planner, self._rows, self._collate)
        else:
            own = OwnRows(self._records, position, self._batch_size, self._rows)
            batches = own.batch(len(self._rows), batch_fn=self._collate)
        num_threads = self._config.num_threads if self._config.prefetch else 0
        read = grain.ReadOptions(
            num_threads=num_threads, prefetch_buffer_size=self._config.prefetch if num_threads else 0
        )
        self._iterator = iter(batches.to_iter_dataset(read))
        self._position = position

    def _collate(self, elements: Sequence[Sample | UserError]) -> dict[str, Any] | UserError:
        samples = [element for element in elements if not isinstance(element, UserError)]
        if len(samples) < len(elements):
            return next(element for element in elements if isinstance(element, UserError))
        return return_errors(self._stack)(samples)

    def _stack(self, samples: Sequence[Sample]) -> dict[str, Any]:
        pixels, captions, keys = zip(*samples, strict=True)
        return {
            "image": np.stack(pixels),
            "tokens": self._tokenize_named(list(captions), keys),
            "caption": list(captions),
            "key": list(keys),
        }

    def _tokenize_named(self, captions: list[str], keys: Sequence[str]) -> Any:
        """Tokenizes, and names the record whose caption cannot be tokenized."""
        try:
            return self._tokenize(captions)
        except UserError as error:
            for caption, key in zip(captions, keys, strict=True):
                try:
                    self._tokenize([caption])
                except UserError as own:
                    raise _refused(caption, key, own) from own
            raise error

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> dict[str, Any]:
        batch = next(self._iterator)
        if isinstance(batch, UserError):
            raise batch
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


def _refused(caption: str, key: str, error: UserError) -> UserError:
    if caption.strip():
        return UserError(f"caption {caption!r:.80} of record {key!r}: {error}")
    return UserError(
        f"record {key!r} has no caption: {error}; add the filter 'has_caption' to leave such records out"
    )
