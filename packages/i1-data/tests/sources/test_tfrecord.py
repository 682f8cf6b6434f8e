import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from i1_data import images
from i1_data.sources.tfrecord import TfrecordSource
from i1_data.testing import SourceSuite
from i1_hooks import UserError

TINY = Path(__file__).parent.parent / "goldens" / "tfrecord_tiny"
FIRST = "dataset-train.tfrecord-00000-of-00003"


class TestTfrecord(SourceSuite):
    component = TfrecordSource(root=str(TINY))


@pytest.mark.golden(pattern="tfrecord_*_expected.npz")
@pytest.mark.parametrize("has_info", [True, False])
def test_records_equal_the_published_reader_s(golden_file: Path, tmp_path: Path, has_info: bool) -> None:
    root = tmp_path / "records"
    shutil.copytree(golden_file.with_name(golden_file.name.replace("_expected.npz", "")), root)
    if not has_info:
        (root / "dataset_info.json").chmod(0o600)
        (root / "dataset_info.json").unlink()
    source = TfrecordSource(root=str(root)).build()
    expected = np.load(golden_file, allow_pickle=False)["images"]
    examples = json.loads(golden_file.with_suffix(".json").read_text())["examples_in_file_order"]
    assert len(source) == len(examples)
    for index in np.random.default_rng(0).permutation(len(examples)):
        record = source[int(index)]
        assert record["key"] == examples[index]["name"]
        assert record["captions"] == examples[index]["captions"]
        np.testing.assert_array_equal(np.asarray(images.decode(record["image"])), expected[index])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for file in TINY.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_a_missing_folder() -> None:
    with pytest.raises(UserError, match="no folder 'nowhere'"):
        TfrecordSource(root="nowhere").build()


def test_a_folder_without_shards(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no files named like"):
        TfrecordSource(root=str(tmp_path)).build()


def test_an_unknown_split(root: Path) -> None:
    with pytest.raises(UserError, match=r"unknown split .*'test'.*choices: train"):
        TfrecordSource(root=str(root), split="test").build()


def test_a_missing_shard(root: Path) -> None:
    (root / "dataset-train.tfrecord-00001-of-00003").unlink()
    with pytest.raises(UserError, match="lacks the train shard 00001; fetch it"):
        TfrecordSource(root=str(root)).build()


def test_two_sets_of_shards(root: Path) -> None:
    (root / "other-train.tfrecord-00000-of-00001").touch()
    with pytest.raises(UserError, match="several sets of shards"):
        TfrecordSource(root=str(root)).build()


def test_shards_without_records(root: Path) -> None:
    (root / "dataset_info.json").unlink()
    (root / "dataset-train.tfrecord-00001-of-00003").write_bytes(b"")
    source = TfrecordSource(root=str(root)).build()
    assert len(source) == 16
    assert source[8]["key"] == "img_016"


def test_counts_that_do_not_fit(root: Path) -> None:
    info = root / "dataset_info.json"
    info.write_text(info.read_text().replace('"8"', '"9"'))
    source = TfrecordSource(root=str(root)).build()
    with pytest.raises(UserError, match=r"holds 8 records, dataset_info\.json says 9"):
        source[0]


@pytest.mark.parametrize("text", ["[]", "{}", '{"splits": [{"name": "test", "shardLengths": ["1"]}]}'])
def test_an_unusable_dataset_info(root: Path, text: str) -> None:
    (root / "dataset_info.json").write_text(text)
    with pytest.raises(UserError, match=r"dataset_info\.json: no shard lengths of split 'train'"):
        TfrecordSource(root=str(root)).build()


def test_a_dataset_info_of_other_shards(root: Path) -> None:
    info = json.loads((root / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["8", "8"]
    (root / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="lists 2 shards, the folder has 3"):
        TfrecordSource(root=str(root)).build()


def test_a_truncated_shard(root: Path) -> None:
    (root / FIRST).write_bytes((root / FIRST).read_bytes()[:-10])
    source = TfrecordSource(root=str(root)).build()
    with pytest.raises(UserError, match=f"{FIRST} is damaged at byte .* ends within a record"):
        source[0]


def test_an_unknown_feature() -> None:
    source = TfrecordSource(root=str(TINY), caption_feature="captions").build()
    with pytest.raises(UserError, match="'captions'; did you mean 'caption'"):
        source[0]


def test_a_feature_of_numbers() -> None:
    source = TfrecordSource(root=str(TINY), key_feature="image/shape").build()
    with pytest.raises(UserError, match="'image/shape' holds numbers"):
        source[0]


def test_records_out_of_range() -> None:
    source = TfrecordSource(root=str(TINY)).build()
    with pytest.raises(IndexError, match="record 24 of 24"):
        source[24]
