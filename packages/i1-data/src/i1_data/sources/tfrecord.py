"""The source `tfrecord`: TFRecord shards in the layout of TensorFlow Datasets, read without TensorFlow."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from i1_hooks import UserError, unknown
from i1_hooks.files import read_json, user_path

from i1_data.records.tfrecord import index_records, read_record, scan_records
from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.faults import Faults, printable
from i1_data.sources.features import record_from_example

INFO = "dataset_info.json"

_SHARD = re.compile(r"(?P<name>.+)-(?P<split>[^-]+)\.tfrecord-(?P<index>\d{5})-of-(?P<count>\d{5})")


@dataclass(frozen=True, kw_only=True)
class TfrecordSource(SourceConfig):
    """Reads `<name>-<split>.tfrecord-00000-of-00003`, ... of a folder, in the order of shards.

    With a `dataset_info.json` beside them, whose counts are then trusted until a shard is read, opening takes
    no time; without, the lengths in every shard are followed once. Checksums are compared at every read.

    Attributes:
        root: the folder that holds the shards.
        split: which shards.
        image_feature: name of the encoded image.
        caption_feature: name of the list of captions.
        key_feature: name of the key.
    """

    root: str
    split: str = "train"
    image_feature: str = "image"
    caption_feature: str = "caption"
    key_feature: str = "image_name"

    def build(self) -> Tfrecords:
        """Finds the shards.

        Raises:
            UserError: for a missing folder, no shards of the split, and, unless `strict` is false, for
                missing shards and damaged files.
        """
        root = user_path(self.root)
        if not root.is_dir():
            raise UserError(f"tfrecord: no folder {self.root!r}; create it or correct `root`")
        named = [(match, path) for path in sorted(root.iterdir()) if (match := _SHARD.fullmatch(path.name))]
        if not named:
            raise UserError(
                f"tfrecord: {self.root!r} holds no files named like 'dataset-train.tfrecord-00000-of-00003'"
            )
        splits = {match["split"] for match, _ in named}
        if self.split not in splits:
            raise unknown(f"split of {self.root!r}", self.split, splits)
        shards = [(match, path) for match, path in named if match["split"] == self.split]
        sets = {(match["name"], int(match["count"])) for match, _ in shards}
        if len(sets) > 1:
            raise UserError(f"tfrecord: {self.root!r} mixes several sets of shards: {sorted(sets)}; keep one")
        faults = Faults(f"tfrecord {printable(self.root)!r}", strict=self.strict)
        count = int(shards[0][0]["count"])
        paths = {int(match["index"]): path for match, path in shards}
        for missing in sorted(set(range(count)) - set(paths)):
            faults.add(
                f"of {count} {self.split} shards missing",
                f"lacks the {self.split} shard {missing:05d}; fetch it",
            )
        lengths = _stated_lengths(root, self.split)
        if lengths is not None and len(lengths) != count:
            raise UserError(
                f"{root / INFO} lists {len(lengths)} shards, the folder has {count}; correct or remove it"
            )
        found: list[Shard] = []
        for index, path in sorted(paths.items()):
            if lengths is not None:
                found.append(Shard(path=path, num_records=lengths[index]))
                continue
            places, damage = scan_records(path)
            if damage:
                faults.add("damaged shards", damage)
            found.append(Shard(path=path, num_records=len(places), places=places))
        faults.conclude()
        return Tfrecords(self, found)


def _stated_lengths(root: Path, split: str) -> list[int] | None:
    path = root / INFO
    if not path.is_file():
        return None
    info: Any = read_json(path)
    try:
        splits = {entry["name"]: entry["shardLengths"] for entry in info["splits"]}
        lengths = [int(length) for length in splits[split]]
        if min(lengths, default=0) < 0:
            raise ValueError(f"a length of {min(lengths)}")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(
            f"{path}: no shard lengths of split {split!r} ({error!r}); correct or remove it"
        ) from error
    return lengths


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of records.

    Attributes:
        path: the file.
        num_records: records in it.
        places: where they lie, int64 of shape (num_records, 2), when it has been read already.
    """

    path: Path
    num_records: int
    places: np.ndarray | None = None


class Tfrecords:
    """The records of a `TfrecordSource`.

    Args:
        config: the names of the features.
        shards: the files in order.
    """

    def __init__(self, config: TfrecordSource, shards: Sequence[Shard]) -> None:
        self._config = config
        self._shards = shards
        self._places = {i: shard.places for i, shard in enumerate(shards) if shard.places is not None}
        self._starts = [0, *accumulate(shard.num_records for shard in shards)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        shard = bisect_right(self._starts, index) - 1
        row = index - self._starts[shard]
        path = self._shards[shard].path
        where = f"{printable(str(path))}, record {row}"
        offset, length = self._places_of(shard)[row]
        payload = read_record(path, int(offset), int(length))
        config = self._config
        return record_from_example(
            payload,
            where,
            image=config.image_feature,
            caption=config.caption_feature,
            key=config.key_feature,
        )

    def _places_of(self, number: int) -> np.ndarray:
        places = self._places.get(number)
        if places is None:
            shard = self._shards[number]
            places = index_records(shard.path)
            if len(places) != shard.num_records:
                raise UserError(
                    f"{shard.path} holds {len(places)} records, {INFO} says {shard.num_records}; "
                    f"fetch both again, or remove {INFO}"
                )
            self._places[number] = places
        return places
