"""The conformance suite of sources."""

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

    Attributes:
        num_checked: how many records to read.

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

    def _indices(self) -> range:
        return range(min(self.num_checked, len(self.component.build())))

    def test_it_has_records(self) -> None:
        """The source has records."""
        assert len(self.component.build()) > 0, "the source has no records"

    def test_records_have_image_captions_and_key(self) -> None:
        """A record has an `image` that can be decoded, strings as `captions` and a string as `key`."""
        source = self.component.build()
        for index in (*self._indices(), len(source) - 1):
            record = source[index]
            missing = {"image", "captions", "key"} - set(record)
            assert not missing, f"record {index} lacks {', '.join(sorted(missing))}"
            key, captions = record["key"], record["captions"]
            assert isinstance(key, str), f"the key of record {index} is {key!r}, expected a string"
            assert key, f"the key of record {index} is empty"
            assert isinstance(captions, list), f"the captions of {key!r} are {captions!r}, expected a list"
            for caption in captions:
                assert isinstance(caption, str), f"a caption of {key!r} is {caption!r}, expected a string"
            height, width = images.image_size(record["image"], name=key)
            size = images.decode(record["image"], name=key).size
            assert size == (width, height), (
                f"the image of {key!r} says {width}x{height} and decodes to {size}"
            )

    def test_keys_name_one_record_each(self) -> None:
        """Every record has a key of its own."""
        source = self.component.build()
        keys = [source[index]["key"] for index in self._indices()]
        assert len(set(keys)) == len(keys), f"two records share a key: {keys}"

    def test_a_record_depends_on_its_index_alone(self) -> None:
        """A record depends on its index alone, not on the order of reading."""
        first, second = self.component.build(), self.component.build()
        forward = [first[index] for index in self._indices()]
        backward = [second[index] for index in reversed(self._indices())]
        for one, other in zip(forward, reversed(backward), strict=True):
            _assert_same(one, other, "read in another order")

    def test_threads_read_the_same_records(self) -> None:
        """Several threads may read at once."""
        source = self.component.build()
        alone = [source[index] for index in self._indices()]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda index: source[index], list(self._indices()) * 4))
        for position, record in enumerate(together):
            _assert_same(record, alone[position % len(alone)], "read by several threads")

    def test_changing_a_record_leaves_the_source_alone(self) -> None:
        """What is done to a record does not change the source."""
        source = self.component.build()
        captions = source[0]["captions"]
        expected = list(captions)
        captions.append("changed")
        found = source[0]["captions"]
        assert found == expected, f"captions became {found}, since a list of the source was handed out"

    def test_it_feeds_the_pipeline(self) -> None:
        """Batches of uint8 images can be made of the records."""
        data = DataConfig(sources=(self.component,), resolution=16)
        batches = make_batches(data, batch_size=4, seed=0, tokenize=len)
        batch = next(batches)
        batches.close()
        found = f"{batch['image'].dtype} {batch['image'].shape}"
        assert found == "uint8 (4, 16, 16, 3)", f"a batch holds {found}, expected uint8 (4, 16, 16, 3)"


def _assert_same(one: Record, other: Record, when: str) -> None:
    assert one["key"] == other["key"], f"record {other['key']!r} is {one['key']!r} when {when}"
    same = one["captions"] == other["captions"]
    assert same, f"record {one['key']!r} has other captions when {when}"
    same = type(one["image"]) is type(other["image"]) and np.array_equal(one["image"], other["image"])
    assert same, f"record {one['key']!r} has another image when {when}"
