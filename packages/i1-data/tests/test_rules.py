import io
import logging
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from i1_data.captioners import (
    FirstCaptioner,
    LengthMixCaptioner,
    LongestCaptioner,
    ShortestCaptioner,
    UniformCaptioner,
)
from i1_data.filters import (
    AspectFilter,
    BytesPerPixelFilter,
    CaptionPatternFilter,
    CaptionWordsFilter,
    FlatFilter,
    HasCaptionFilter,
    MinSizeFilter,
    ReadableFilter,
    SubsampleFilter,
)
from i1_data.mixings import BySizeMixing, CappedMixing, EqualMixing, TemperatureMixing, WeightsMixing
from i1_data.sources import Record
from i1_data.testing import CaptionerSuite, FilterSuite, MixingSuite
from i1_hooks import UserError
from PIL import Image


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


def shown(height: int, width: int, *, captions: tuple[str, ...] = (), key: str = "k") -> Record:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return {"image": pixels, "captions": list(captions), "key": key}


class TestAspect(FilterSuite):
    component = AspectFilter(max_ratio=2.0)

    @pytest.mark.parametrize(
        ("size", "kept"), [((10, 20), True), ((20, 10), True), ((10, 21), False), ((1, 1), True)]
    )
    def test_it_looks_at_both_edges(self, size: tuple[int, int], kept: bool) -> None:
        assert self.component.keep(shown(*size)) is kept


class TestBytesPerPixel(FilterSuite):
    component = BytesPerPixelFilter(least=0.5)

    def test_it_compares_the_file_with_its_pixels(self) -> None:
        file = io.BytesIO()
        Image.new("RGB", (64, 64)).save(file, "png")
        for least in (len(file.getvalue()) / 64**2, 1):
            kept = BytesPerPixelFilter(least=least).keep(
                {"image": file.getvalue(), "captions": [], "key": "k"}
            )
            assert kept is (least < 1)
        assert self.component.keep(shown(4, 4))


class TestFlat(FilterSuite):
    component = FlatFilter()

    def test_one_grey_is_dropped(self) -> None:
        grey: Record = {"image": np.full((4, 4, 3), 9, np.uint8), "captions": [], "key": "k"}
        assert not self.component.keep(grey)
        assert self.component.keep(shown(4, 4))


class TestCaptionWords(FilterSuite):
    component = CaptionWordsFilter(least=2, most=3)

    @pytest.mark.parametrize(
        ("caption", "kept"), [("a", False), ("a b", True), ("a b c", True), ("a b c d", False)]
    )
    def test_both_bounds_count(self, caption: str, kept: bool) -> None:
        assert self.component.keep(shown(2, 2, captions=(caption,))) is kept


class TestCaptionPattern(FilterSuite):
    component = CaptionPatternFilter(pattern=r"(?i)\bcat\b")

    def test_matches_stay_or_go(self) -> None:
        for caption, matches in (("a Cat", True), ("a category", False)):
            record = shown(2, 2, captions=("x", caption))
            assert self.component.keep(record) is matches
            assert (
                CaptionPatternFilter(pattern=r"(?i)\bcat\b", keep_matches=False).keep(record) is not matches
            )


class TestSubsample(FilterSuite):
    component = SubsampleFilter(share=0.5)

    def test_a_larger_share_keeps_the_same_records_and_the_rest_is_disjoint(self) -> None:
        records = [shown(1, 1, key=str(number)) for number in range(2000)]
        chosen = [{r["key"] for r in records if SubsampleFilter(share=s).keep(r)} for s in (0, 0.1, 0.5, 1)]
        assert chosen[0] < chosen[1] < chosen[2] < chosen[3]
        assert abs(len(chosen[1]) - 200) < 60
        held_out = {r["key"] for r in records if SubsampleFilter(share=0.1, held_out=True).keep(r)}
        assert held_out == chosen[3] - chosen[1]
        assert {r["key"] for r in records if SubsampleFilter(share=0.1, salt="x").keep(r)} != chosen[1]


class TestLongest(CaptionerSuite):
    component = LongestCaptioner()

    def test_it_takes_the_longest(self) -> None:
        assert self.component.caption(["a", "abc", "xyz"], np.random.default_rng(0)) == "abc"


class TestShortest(CaptionerSuite):
    component = ShortestCaptioner()

    def test_it_takes_the_shortest(self) -> None:
        assert self.component.caption(["abc", "a", "x"], np.random.default_rng(0)) == "a"


class TestLengthMix(CaptionerSuite):
    component = LengthMixCaptioner(long_share=0.25)

    @pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
    def test_the_share_holds(self, share: float) -> None:
        rng = np.random.default_rng(0)
        drawn = Counter(LengthMixCaptioner(long_share=share).caption(["a", "abc"], rng) for _ in range(2000))
        assert abs(drawn["abc"] - 2000 * share) < 100 * (0 < share < 1) + 1
        assert drawn["abc"] + drawn["a"] == 2000


class TestTemperature(MixingSuite):
    component = TemperatureMixing(temperature=2.0)

    def test_sizes_are_flattened(self) -> None:
        assert self.component.proportions([100, 400]) == (0.5, 1.0)
        assert TemperatureMixing(temperature=1.0).proportions([1, 4]) == (0.25, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AspectFilter(max_ratio=0.5), "max_ratio must be a number from 1 on, got 0.5"),
        (lambda: AspectFilter(max_ratio=math.nan), "max_ratio"),
        (lambda: BytesPerPixelFilter(least=0), "least must be a positive number"),
        (lambda: FlatFilter(least=0), "least must be above 0"),
        (lambda: CaptionWordsFilter(least=3, most=2), "expected 0 <= least <= most, got 3 and 2"),
        (lambda: CaptionPatternFilter(pattern="("), "is no regular expression"),
        (lambda: SubsampleFilter(share=1.5), "share must be from 0 to 1, got 1.5"),
        (lambda: LengthMixCaptioner(long_share=-1), "long_share must be from 0 to 1"),
        (lambda: TemperatureMixing(temperature=0), "temperature must be at least 0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
