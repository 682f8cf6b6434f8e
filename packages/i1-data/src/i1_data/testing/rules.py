"""The conformance suites of the rules applied to records: filters, captioners and mixings."""

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
        """`keep` answers `True` or `False`, the same each time."""
        for record in example_records():
            first, second = self.component.keep(record), self.component.keep(record)
            assert isinstance(first, bool), f"keep returned {type(first).__name__} {first!r}, expected a bool"
            assert first is second, f"keep answered {first}, then {second}, for record {record['key']!r}"

    def test_records_stay_as_they_are(self) -> None:
        """`keep` does not change the record."""
        for record in example_records():
            before = copy.deepcopy(record)
            self.component.keep(record)
            for field in ("captions", "key"):
                assert record[field] == before[field], f"keep changed the {field} of {before['key']!r}"
            same = np.array_equal(record["image"], before["image"])
            assert same, f"keep changed the image of {before['key']!r}"


class CaptionerSuite(ComponentSuite[CaptionerConfig]):
    """What every captioner must do; subclass it in a test file.

    Attributes:
        captions: the captions of a record that the checks use.

    Example:
        class TestMine(CaptionerSuite):
            component = MyCaptioner()
    """

    captions: tuple[str, ...] = ("a red circle", "a circle", "a picture of a circle that is red")

    def test_equal_random_states_give_equal_captions(self) -> None:
        """`caption` returns a string, and all randomness comes from the generator it is given."""
        for seed in range(8):
            one, other = (
                self.component.caption(list(self.captions), np.random.default_rng(seed)) for _ in range(2)
            )
            assert isinstance(one, str), f"caption returned {type(one).__name__} {one!r}, expected a string"
            assert one == other, f"generators in one state gave {one!r} and {other!r}"

    def test_the_list_stays_as_it_is(self) -> None:
        """`caption` does not change the list of captions."""
        captions = list(self.captions)
        self.component.caption(captions, np.random.default_rng(0))
        assert captions == list(self.captions), f"caption changed the list to {captions}"

    def test_any_number_of_captions_will_do(self) -> None:
        """Any number of captions will do, also none."""
        for number in range(len(self.captions) + 1):
            chosen = self.component.caption(self.captions[:number], np.random.default_rng(0))
            assert isinstance(chosen, str), f"of {number} captions came {chosen!r}, expected a string"


class MixingSuite(ComponentSuite[MixingConfig]):
    """What every mixing must do; subclass it in a test file.

    Attributes:
        sizes: numbers of records of several sources that the configuration fits.

    Example:
        class TestMine(MixingSuite):
            component = MyMixing(temperature=0.7)
    """

    sizes: tuple[tuple[int, ...], ...] = ((1000, 20, 3), (1, 1, 1), (98_121_424, 1_240_185, 5_890_279))

    def test_proportions_are_positive_numbers_one_per_source(self) -> None:
        """`proportions` returns a tuple with one positive finite float per source."""
        for sizes in self.sizes:
            shares = self.component.proportions(sizes)
            assert isinstance(shares, tuple), f"proportions returned {type(shares).__name__}, not a tuple"
            assert len(shares) == len(sizes), f"{len(shares)} proportions for {len(sizes)} sources"
            for share in shares:
                assert isinstance(share, float), (
                    f"a proportion is {type(share).__name__} {share!r}, not a float"
                )
                assert share > 0, f"a proportion is {share}, expected a positive number"
                assert math.isfinite(share), f"a proportion is {share}, which is not finite"

    def test_proportions_are_repeatable(self) -> None:
        """Equal sizes give equal proportions."""
        for sizes in self.sizes:
            first, second = self.component.proportions(sizes), self.component.proportions(list(sizes))
            assert first == second, f"sizes {sizes} gave {first}, then {second}"
