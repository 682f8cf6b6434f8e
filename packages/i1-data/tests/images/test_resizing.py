import json
import tracemalloc
from pathlib import Path

import numpy as np
import PIL
import pytest
from i1_data import images
from i1_data.images import resizing
from PIL import Image


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng([seed, height, width])
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def expected(image: Image.Image, height: int, width: int) -> np.ndarray:
    """The published rule, written for any rectangle: cover it, then cut out the centre."""
    if image.width * height >= image.height * width:  # the height decides
        covering = max(width, round(image.width * (height / image.height))), height
    else:
        covering = width, max(height, round(image.height * (width / image.width)))
    left, top = (covering[0] - width) // 2, (covering[1] - height) // 2
    return np.asarray(image.resize(covering, Image.Resampling.BILINEAR))[
        top : top + height, left : left + width
    ]


@pytest.mark.parametrize("seed", range(40))
def test_a_bucket_holds_the_centre_of_the_whole_resized_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = noise(*map(int, rng.integers(1, 70, 2)), seed=seed)
    height, width = (16 * int(n) for n in rng.integers(1, 5, 2))
    np.testing.assert_array_equal(
        np.asarray(images.fill_and_crop(image, height, width)), expected(image, height, width)
    )


@pytest.mark.parametrize("shape", [(40, 17), (17, 40), (90, 16), (16, 16), (8, 8), (5, 61), (1, 1)])
@pytest.mark.parametrize("resolution", [1, 15, 16, 32])
def test_a_square_is_the_centre_of_the_whole_resized_picture(shape: tuple[int, int], resolution: int) -> None:
    image = noise(*shape)
    np.testing.assert_array_equal(
        np.asarray(images.resize_and_crop(image, resolution)), expected(image, resolution, resolution)
    )


@pytest.mark.parametrize("shape", [(2, 300), (300, 2), (3, 301), (301, 3), (7, 1000), (1, 400), (400, 1)])
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (48, 16), (16, 48)])
def test_a_thin_picture_has_the_pixels_of_the_whole_one(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    image = noise(*shape)
    np.testing.assert_array_equal(np.asarray(images.fill_and_crop(image, *size)), expected(image, *size))


@pytest.mark.parametrize("seed", range(30))
def test_a_window_is_part_of_the_whole_whatever_its_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = noise(*map(int, rng.integers(1, 60, 2)), seed=seed)
    width, height = (edge + int(more) for edge, more in zip(image.size, rng.integers(0, 90, 2), strict=True))
    left, top = int(rng.integers(width)), int(rng.integers(height))
    wide, high = int(rng.integers(1, width - left + 1)), int(rng.integers(1, height - top + 1))
    window = np.asarray(resizing._resize_window(image, (width, height), (left, top, wide, high)))
    np.testing.assert_array_equal(
        window,
        np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))[
            top : top + high, left : left + wide
        ],
    )


@pytest.mark.parametrize("shape", [(8000, 2), (2, 8000), (20000, 1)])
def test_a_thin_picture_takes_memory_for_its_centre_only(shape: tuple[int, int]) -> None:
    image = noise(*shape)
    asked: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def watched(self: Image.Image, size: tuple[int, int], *rest: object, **options: object) -> Image.Image:
        asked.append(size)
        return resize(self, size, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "resize", watched)
        tracemalloc.start()
        assert images.resize_and_crop(image, 512).size == (512, 512)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40 * 512 * 512 * 3
    assert all(width * height < 5 * 512 * 512 for width, height in asked)


@pytest.mark.golden(pattern="resize_crop*.npz")
def test_preparation_equals_the_published_one(golden_file: Path) -> None:
    # Made with Pillow 13, which begins with the other axis for some sizes; earlier ones may differ by one.
    allowed = 0 if int(PIL.__version__.split(".")[0]) >= 13 else 1
    arrays = np.load(golden_file, allow_pickle=False)
    for case in json.loads(golden_file.with_suffix(".json").read_text())["cases"]:
        pixels = arrays[f"in{case['case']}"]
        prepared = np.asarray(images.resize_and_crop(Image.fromarray(pixels).convert("RGB"), case["size"]))
        difference = np.abs(prepared.astype(int) - arrays[f"out{case['case']}"])
        assert difference.max() <= allowed, case
        assert (min(pixels.shape[:2]) < case["size"]) == case["shorter_edge_too_small"]
