import logging
import math
from collections import Counter

import numpy as np
import pytest
from i1_data.captioners import FirstCaptioner, UniformCaptioner
from i1_data.filters import HasCaptionFilter, MinSizeFilter, ReadableFilter
from i1_data.mixings import BySizeMixing, CappedMixing, EqualMixing, WeightsMixing
from i1_data.sources import Record
from i1_data.testing import CaptionerSuite, FilterSuite, MixingSuite
from i1_hooks import UserError


class TestMinSize(FilterSuite):
    component = MinSizeFilter(shorter_edge=16)

    def test_it_looks_at_the_shorter_edge(self) -> None:
        sizes = {(16, 40): True, (15, 40): False, (40, 15): False}
        for (height, width), kept in sizes.items():
            record: Record = {"image": np.zeros((height, width, 3), np.uint8), "captions": [], "key": "k"}
            assert self.component.keep(record) is kept

    def test_a_size_below_one_is_refused(self) -> None:
        with pytest.raises(UserError, match="at least 1 pixel"):
            MinSizeFilter(shorter_edge=0)


class TestHasCaption(FilterSuite):
    component = HasCaptionFilter()

    @pytest.mark.parametrize(("captions", "kept"), [([], False), (["", "  "], False), (["", "a cat"], True)])
    def test_white_space_does_not_count(self, captions: list[str], kept: bool) -> None:
        assert self.component.keep({"image": b"", "captions": captions, "key": "k"}) is kept


class TestReadable(FilterSuite):
    component = ReadableFilter()

    def test_a_skipped_image_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert not self.component.keep({"image": b"?", "captions": [], "key": "cats/1.png"})
        assert caplog.text.count("cats/1.png") == 1


class TestUniform(CaptionerSuite):
    component = UniformCaptioner()

    def test_every_caption_is_equally_likely(self) -> None:
        rng = np.random.default_rng(0)
        drawn = Counter(self.component.caption("abcde", rng) for _ in range(5000))
        assert set(drawn) == set("abcde")
        assert all(abs(count - 1000) < 5 * math.sqrt(1000) for count in drawn.values())

    def test_no_captions_give_the_empty_string(self) -> None:
        assert self.component.caption([], np.random.default_rng(0)) == ""


class TestFirst(CaptionerSuite):
    component = FirstCaptioner()

    def test_it_takes_the_first(self) -> None:
        assert self.component.caption(["a", "b"], np.random.default_rng(0)) == "a"
        assert self.component.caption([], np.random.default_rng(0)) == ""


class TestEqual(MixingSuite):
    component = EqualMixing()


class TestBySize(MixingSuite):
    component = BySizeMixing()

    def test_it_follows_the_sizes(self) -> None:
        assert self.component.proportions([3, 5]) == (3.0, 5.0)


class TestCapped(MixingSuite):
    component = CappedMixing(threshold=100)

    def test_sizes_stop_at_the_threshold(self) -> None:
        assert self.component.proportions([3, 500, 100]) == (3.0, 100.0, 100.0)

    def test_a_threshold_below_one_is_refused(self) -> None:
        with pytest.raises(UserError, match="threshold"):
            CappedMixing(threshold=0)


class TestWeights(MixingSuite):
    component = WeightsMixing(weights=(1.0, 2.5, 4.0))

    def test_their_number_must_fit(self) -> None:
        with pytest.raises(UserError, match="3 weights for 2 sources"):
            self.component.proportions([10, 10])

    @pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
    def test_only_positive_numbers(self, weight: float) -> None:
        with pytest.raises(UserError, match="not a positive number"):
            WeightsMixing(weights=(1.0, weight))
