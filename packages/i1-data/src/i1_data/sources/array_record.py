"""The source `array_record`: the shards that `i1 data prepare` writes."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import read_json, user_path

from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.faults import Faults, printable
from i1_data.sources.features import record_from_example

MANIFEST = "manifest.json"
SUFFIX = ".array_record"
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


@dataclass(frozen=True, kw_only=True)
class ArrayRecordSource(SourceConfig):
    """Reads the ArrayRecord shards of a folder, in the order of their names, with random access.

    A record is a `tf.train.Example`, as in the record files of TensorFlow Datasets. With a `manifest.json`,
    as `i1 data prepare` writes it, the shards must be those that it lists.

    Attributes:
        root: the folder.
        image_feature: name of the encoded image.
        caption_feature: name of the list of captions.
        key_feature: name of the key.
    """

    root: str
    image_feature: str = "image"
    caption_feature: str = "caption"
    key_feature: str = "image_name"

    def build(self) -> ArrayRecords:
        """Opens the shards.

        Raises:
            UserError: for a folder that is missing or holds no shards, and, unless `strict` is false, for
                missing and damaged shards.
        """
        root = user_path(self.root)
        if not root.is_dir():
            raise UserError(f"array_record: no folder {self.root!r}; create it or correct `root`")
        faults = Faults(f"array_record {printable(self.root)!r}", strict=self.strict)
        stated = _stated(root)
        names = sorted(path.name for path in root.glob(f"*{SUFFIX}") if not path.name.startswith("."))
        if not names:
            raise UserError(f"array_record: {self.root!r} holds no {SUFFIX} files")
        for name in sorted(set(stated or names) - set(names)):
            faults.add("missing shards", f"lacks the shard {name}; prepare the set again")
        shards: list[tuple[Path, Any]] = []
        for name in names:
            if stated is not None and name not in stated:
                faults.add("unknown shards", f"{MANIFEST} does not list the shard {name}; remove it")
                continue
            try:
                reader = open_reader(root / name)
                count = reader.num_records()
                if stated is not None and count != stated[name]:
                    raise UserError(
                        f"{root / name} holds {count} records, {MANIFEST} says {stated[name]}; "
                        "prepare the set again"
                    )
                shards.append((root / name, reader))
            except UserError as error:
                faults.add("damaged shards", str(error))
        faults.conclude()
        return ArrayRecords(self, shards)


def _stated(root: Path) -> dict[str, int] | None:
    path = root / MANIFEST
    if not path.is_file():
        return None
    manifest = read_json(path)
    try:
        return {row["shard"]: int(row["records"]) for row in manifest["shards"]}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: no list of shards ({error!r}); prepare the set again") from error


def open_reader(path: Path) -> Any:
    """Opens a shard for random access.

    Raises:
        UserError: naming a shard that is damaged or cannot be read.
    """
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path), _READER_OPTIONS)
        if not reader.ok():
            raise ValueError("no footer")
        return reader
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {str(error)[:200]}; prepare the set again") from error


class ArrayRecords:
    """The records of an `ArrayRecordSource`.

    Args:
        config: the names of the features.
        shards: path and open reader of each shard, in order.
    """

    def __init__(self, config: ArrayRecordSource, shards: Sequence[tuple[Path, Any]]) -> None:
        self._config = config
        self._shards = shards
        self._starts = [0, *accumulate(reader.num_records() for _, reader in shards)]
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        shard = bisect_right(self._starts, index) - 1
        path, reader = self._shards[shard]
        row = index - self._starts[shard]
        where = f"{printable(str(path))}, record {row}"
        try:
            with self._lock:
                (payload,) = reader.read([row])
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise UserError(f"{where} is damaged: {str(error)[:200]}; prepare the set again") from error
        config = self._config
        return record_from_example(
            payload,
            where,
            image=config.image_feature,
            caption=config.caption_feature,
            key=config.key_feature,
        )
