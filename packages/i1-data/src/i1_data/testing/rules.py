"""The conformance suites of the rules applied to records: filters, captioners and mixings."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import copy
import io
import math

import numpy as np
from i1_hooks.testing import ComponentSuite
from PIL import Image

from i1_data.captioners import CaptionerConfig
from i1_data.filters import FilterConfig
from i1_data.mixings import MixingConfig
from i1_data.sources import Record


def example_records() -> list[Record]:
    """Returns records of several sizes and numbers of captions, as pixels and as encoded bytes."""
    records: list[Record] = []
    for index, (height, width) in enumerate([(8, 8), (16, 9), (64, 64), (70, 128)]):
        values = np.arange(height * width * 3) % 251
        pixels = values.astype(np.uint8).reshape(height, width, 3)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, format="png")
        captions = [f"caption {number}" for number in range(index)]
        records.append({"image": pixels, "captions": captions, "key": f"pixels {index}"})
        records.append({"image": encoded.getvalue(), "captions": captions, "key": f"encoded {index}"})
    return records


class FilterSuite(ComponentSuite[FilterConfig]):
    """What every filter must do; subclass it in a test file.

    Example:
        class TestMine(FilterSuite):
            component = MyFilter(threshold=0.5)
    """

    def test_the_answer_is_a_bool_and_repeatable(self) -> None:
        for record in example_records():
            answer = self.component.keep(record)
            assert isinstance(answer, bool)
            assert self.component.keep(record) is answer

    def test_records_stay_as_they_are(self) -> None:
        for record in example_records():
            before = copy.deepcopy(record)
            self.component.keep(record)
            assert record["captions"] == before["captions"]
            assert record["key"] == before["key"]
            assert np.array_equal(record["image"], before["image"])


class CaptionerSuite(ComponentSuite[CaptionerConfig]):
    """What every captioner must do; subclass it in a test file.

    Example:
        class TestMine(CaptionerSuite):
            component = MyCaptioner()
    """

    captions: tuple[str, ...] = ("a red circle", "a circle", "a picture of a circle that is red")

    def test_equal_random_states_give_equal_captions(self) -> None:
        for seed in range(8):
            one, other = (
                self.component.caption(list(self.captions), np.random.default_rng(seed)) for _ in range(2)
            )
            assert isinstance(one, str)
            assert one == other

    def test_the_list_stays_as_it_is(self) -> None:
        captions = list(self.captions)
        self.component.caption(captions, np.random.default_rng(0))
        assert captions == list(self.captions)

    def test_any_number_of_captions_will_do(self) -> None:
        for number in range(len(self.captions) + 1):
            assert isinstance(self.component.caption(self.captions[:number], np.random.default_rng(0)), str)


class MixingSuite(ComponentSuite[MixingConfig]):
    """What every mixing must do; subclass it in a test file.

    Example:
        class TestMine(MixingSuite):
            component = MyMixing(temperature=0.7)
    """

    sizes: tuple[tuple[int, ...], ...] = ((1000, 20, 3), (1, 1, 1), (98_121_424, 1_240_185, 5_890_279))
    """Sizes of sources that the configuration fits."""

    def test_proportions_are_positive_numbers_one_per_source(self) -> None:
        for sizes in self.sizes:
            proportions = self.component.proportions(sizes)
            assert isinstance(proportions, tuple)
            assert len(proportions) == len(sizes)
            assert all(isinstance(share, float) for share in proportions)
            assert all(share > 0 and math.isfinite(share) for share in proportions)

    def test_proportions_are_repeatable(self) -> None:
        for sizes in self.sizes:
            assert self.component.proportions(sizes) == self.component.proportions(list(sizes))
