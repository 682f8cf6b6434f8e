"""The source `tfrecord`: TFRecord shards in the layout of TensorFlow Datasets, read without TensorFlow."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from i1_hooks import UserError, unknown

from i1_data.records.example import Feature, parse_example
from i1_data.records.tfrecord import index_records, read_record
from i1_data.sources.base import Record, SourceConfig

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
            UserError: for a missing folder, no or not all shards of the split, and a damaged file.
        """
        root = Path(self.root).expanduser()
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
        count = int(shards[0][0]["count"])
        if len(shards) != count:
            have = {int(match["index"]) for match, _ in shards}
            missing = sorted(set(range(count)) - have)
            raise UserError(
                f"tfrecord: {self.root!r} lacks {len(missing)} of {count} {self.split} shards, "
                f"first {missing[0]:05d}; fetch them"
            )
        return Tfrecords(self, [path for _, path in shards], _stated_lengths(root, self.split))


def _stated_lengths(root: Path, split: str) -> list[int] | None:
    path = root / "dataset_info.json"
    if not path.is_file():
        return None
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        splits = {entry["name"]: entry["shardLengths"] for entry in info["splits"]}
        return [int(length) for length in splits[split]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: no shard lengths of split {split!r} ({error!r}); correct or remove it"
        ) from error


class Tfrecords:
    """The records of a `TfrecordSource`.

    Args:
        config: the names of the features.
        shards: the files in order.
        lengths: records per shard, when known without reading.
    """

    def __init__(self, config: TfrecordSource, shards: Sequence[Path], lengths: Sequence[int] | None) -> None:
        self._config = config
        self._shards = shards
        self._indices: dict[int, np.ndarray] = {}
        if lengths is None:
            self._indices = {i: index_records(path) for i, path in enumerate(shards)}
            lengths = [len(self._indices[i]) for i in range(len(shards))]
        elif len(lengths) != len(shards):
            raise UserError(
                f"{shards[0].parent / 'dataset_info.json'} lists {len(lengths)} shards, "
                f"the folder has {len(shards)}; correct or remove it"
            )
        self._starts = [0, *accumulate(lengths)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        shard = bisect_right(self._starts, index) - 1
        row = index - self._starts[shard]
        path = self._shards[shard]
        where = f"{path}, record {row}"
        offset, length = self._index(shard)[row]
        try:
            features = parse_example(read_record(path, int(offset), int(length)))
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        image = _texts(features, self._config.image_feature, where)
        captions = _texts(features, self._config.caption_feature, where)
        key = _texts(features, self._config.key_feature, where)
        if len(image) != 1 or len(key) != 1:
            raise UserError(f"{where}: expected one image and one key, got {len(image)} and {len(key)}")
        try:
            return {
                "image": image[0],
                "captions": [text.decode() for text in captions],
                "key": key[0].decode(),
            }
        except UnicodeDecodeError as error:
            raise UserError(f"{where}: a caption or key is not UTF-8: {error}") from error

    def _index(self, shard: int) -> np.ndarray:
        if shard not in self._indices:
            found = index_records(self._shards[shard])
            stated = self._starts[shard + 1] - self._starts[shard]
            if len(found) != stated:
                raise UserError(
                    f"{self._shards[shard]} holds {len(found)} records, dataset_info.json says {stated}; "
                    "fetch both again, or remove dataset_info.json"
                )
            self._indices[shard] = found
        return self._indices[shard]


def _texts(features: dict[str, Feature], name: str, where: str) -> list[bytes]:
    if name not in features:
        raise unknown(f"feature of {where}", name, features)
    values = [value for value in features[name] if isinstance(value, bytes)]
    if len(values) != len(features[name]):
        raise UserError(f"{where}: feature {name!r} holds numbers, expected bytes")
    return values
