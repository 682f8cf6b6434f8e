import io
import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from i1_data import images
from i1_data.buckets import RATIOS, aspect_buckets, nearest_bucket
from i1_data.config import DataConfig
from i1_data.filters import FilterConfig, MinSizeFilter
from i1_data.pipeline import make_batches
from i1_data.planner import Planner
from i1_data.sources import SourceConfig
from i1_hooks import UserError
from PIL import Image

BUCKETS = ((32, 32), (48, 16), (16, 48))


@dataclass(frozen=True, kw_only=True)
class Shapes(SourceConfig):
    """Pictures of several aspects; the first pixel of each tells its number."""

    count: int = 23

    def build(self):
        return self

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        height, width = ((40, 40), (90, 30), (20, 61), (33, 31), (10, 10))[index % 5]
        pixels = np.full((height, width, 3), index, np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        return {"image": encoded.getvalue(), "captions": [f"{index}a", f"{index}b"], "key": str(index)}


CONFIG = DataConfig(
    sources=(Shapes(),), resolution=32, buckets=BUCKETS, filters=(MinSizeFilter(shorter_edge=15),)
)


def stream(config=CONFIG, batch_size=4, num=12, state=None, **options):
    batches = make_batches(config, batch_size=batch_size, seed=5, tokenize=list, **options)
    if state is not None:
        batches.set_state(state)
    taken = [next(batches) for _ in range(num)]
    position = json.loads(json.dumps(batches.get_state()))
    batches.close()
    return taken, position


def same(one, other):
    assert [batch["key"] for batch in one] == [batch["key"] for batch in other]
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left["image"], right["image"])
        assert left["caption"] == right["caption"]


def test_every_batch_holds_one_bucket_and_every_image_its_nearest():
    taken, _ = stream(num=30)
    assert {batch["image"].shape[1:3] for batch in taken} == set(BUCKETS)
    for batch in taken:
        for key, pixels in zip(batch["key"], batch["image"], strict=True):
            assert int(key) % 5 != 4  # dropped by the filter
            assert (pixels == int(key)).all()
            expected = {0: (32, 32), 1: (48, 16), 2: (16, 48), 3: (32, 32)}[int(key) % 5]
            assert pixels.shape[:2] == expected


def test_nothing_is_lost_and_proportions_hold():
    config = DataConfig(sources=(Shapes(count=15),), resolution=32, buckets=BUCKETS)
    taken, state = stream(config, num=45)
    keys = [int(key) for batch in taken for key in batch["key"]]
    waiting = sum(len(visits) for visits in state["waiting"])
    assert len(keys) + waiting == state["next"]
    counts = np.bincount(keys, minlength=15)
    assert counts.min() >= 45 * 4 / 15 - 4
    assert counts.max() <= 45 * 4 / 15 + 4


@pytest.mark.parametrize("after", [0, 1, 7])
def test_going_on_is_exact(after):
    whole, _ = stream(num=12)
    _, state = stream(num=after)
    same(whole[after:], stream(num=12 - after, state=state)[0])


def test_threads_change_nothing():
    from dataclasses import replace

    one, _ = stream(replace(CONFIG, num_threads=0))
    same(one, stream(replace(CONFIG, num_threads=4, prefetch=3))[0])


def test_hosts_share_a_batch():
    whole, state = stream()
    parts = [stream(rows=rows) for rows in ([0, 1], [2, 3])]
    assert all(position == state for _, position in parts)
    for batch, left, right in zip(whole, parts[0][0], parts[1][0], strict=True):
        assert batch["key"] == left["key"] + right["key"]


def test_another_batch_size_goes_on_with_what_waits():
    _, state = stream(num=6)
    waiting = [visit for visits in state["waiting"] for visit in visits]
    taken, after = stream(batch_size=2, num=8, state=state)
    left = [visit for visits in after["waiting"] for visit in visits]
    assert len(taken) * 2 + len(left) - len(waiting) == after["next"] - state["next"]
    with pytest.raises(UserError, match="made with buckets"):
        stream(DataConfig(sources=(Shapes(),), resolution=32), state=state)


def test_the_planner_answers_in_any_order():
    def plans(order):
        planner = Planner(lambda visit: visit * 7 % 3, 3, 2)
        made = {index: planner.plan(index).visits for index in order}
        return [made[index] for index in sorted(made)]

    assert plans([3, 0, 2, 1]) == plans([0, 1, 2, 3]) == [(0, 3), (1, 4), (2, 5), (6, 9)]


def test_buckets_of_about_equal_area():
    sizes = aspect_buckets(1024)
    assert len(sizes) == 2 * len(RATIOS) - 1
    assert all(height % 16 == width % 16 == 0 for height, width in sizes)
    assert all(abs(math.log(height * width / 1024**2)) < 0.03 for height, width in sizes)
    assert {(width, height) for height, width in sizes} == set(sizes)
    assert nearest_bucket(((32, 32), (48, 16)), 50, 30) == 0
    assert nearest_bucket(((32, 32), (48, 16)), 60, 30) == 1


def test_filling_covers_and_keeps_the_centre():
    for size in ((48, 16), (16, 48), (32, 48)):
        for shape in ((17, 93), (100, 100), (16, 16), size):
            image = Image.fromarray(np.full((*shape, 3), 200, np.uint8))
            filled = np.asarray(images.fill_and_crop(image, *size))
            assert filled.shape == (*size, 3)
            assert (filled == 200).all()
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    middle = np.asarray(images.fill_and_crop(Image.fromarray(ramp), 32, 16))
    np.testing.assert_array_equal(middle[0, :, 0], np.arange(24, 40))


def test_an_upright_photograph_is_upright():
    image, exif = Image.new("RGB", (60, 20)), Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    assert images.upright_size(file.getvalue()) == (60, 20)
    assert images.decode(file.getvalue()).size == (20, 60)


@pytest.mark.parametrize(
    ("buckets", "message"),
    [(((30, 32),), "30x32 must have edges that are multiples of 16"), (((32, 32), (32, 32)), "a size twice")],
)
def test_mistakes_are_named(buckets, message):
    with pytest.raises(UserError, match=message):
        DataConfig(sources=(Shapes(),), resolution=32, buckets=buckets)


def test_the_filter_is_asked_as_without_buckets():
    @dataclass(frozen=True, kw_only=True)
    class Odd(FilterConfig):
        def keep(self, record):
            return int(record["key"]) % 2 == 1

    config = DataConfig(sources=(Shapes(),), resolution=32, buckets=BUCKETS, filters=(Odd(),))
    taken, _ = stream(config)
    assert all(int(key) % 2 for batch in taken for key in batch["key"])
