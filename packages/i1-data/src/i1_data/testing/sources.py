"""The conformance suite of sources."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from i1_hooks.testing import ComponentSuite

from i1_data import images
from i1_data.config import DataConfig
from i1_data.pipeline import make_batches
from i1_data.sources import Record, SourceConfig


class SourceSuite(ComponentSuite[SourceConfig]):
    """What every source must do; subclass it in a test file.

    Example:
        class TestMine(SourceSuite):
            component = MySource(seed=1)

    A source that reads files gets its configuration from a fixture:

        class TestMine(SourceSuite):
            @pytest.fixture(autouse=True)
            def files(self, tmp_path):
                self.component = MySource(root=str(tmp_path))
    """

    num_checked: int = 8
    """How many records to read."""

    def _indices(self) -> range:
        return range(min(self.num_checked, len(self.component.build())))

    def test_it_has_records(self) -> None:
        assert len(self.component.build()) > 0

    def test_records_have_image_captions_and_key(self) -> None:
        source = self.component.build()
        for index in (*self._indices(), len(source) - 1):
            record = source[index]
            assert set(record) >= {"image", "captions", "key"}
            assert isinstance(record["key"], str)
            assert record["key"]
            assert isinstance(record["captions"], list)
            assert all(isinstance(caption, str) for caption in record["captions"])
            height, width = images.image_size(record["image"], name=record["key"])
            assert images.decode(record["image"], name=record["key"]).size == (width, height)

    def test_keys_name_one_record_each(self) -> None:
        source = self.component.build()
        keys = [source[index]["key"] for index in self._indices()]
        assert len(set(keys)) == len(keys)

    def test_a_record_depends_on_its_index_alone(self) -> None:
        first, second = self.component.build(), self.component.build()
        forward = [first[index] for index in self._indices()]
        backward = [second[index] for index in reversed(self._indices())]
        for one, other in zip(forward, reversed(backward), strict=True):
            _assert_same(one, other)

    def test_threads_read_the_same_records(self) -> None:
        source = self.component.build()
        alone = [source[index] for index in self._indices()]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda index: source[index], list(self._indices()) * 4))
        for position, record in enumerate(together):
            _assert_same(record, alone[position % len(alone)])

    def test_changing_a_record_leaves_the_source_alone(self) -> None:
        source = self.component.build()
        captions = source[0]["captions"]
        expected = list(captions)
        captions.append("changed")
        assert source[0]["captions"] == expected

    def test_it_feeds_the_pipeline(self) -> None:
        data = DataConfig(sources=(self.component,), resolution=16)
        batches = make_batches(data, batch_size=4, seed=0, tokenize=len)
        batch = next(batches)
        batches.close()
        assert batch["image"].shape == (4, 16, 16, 3)
        assert batch["image"].dtype == np.uint8


def _assert_same(one: Record, other: Record) -> None:
    assert one["key"] == other["key"]
    assert one["captions"] == other["captions"]
    assert type(one["image"]) is type(other["image"])
    assert np.array_equal(one["image"], other["image"])
