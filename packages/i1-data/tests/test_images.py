import io
import json
from pathlib import Path

import numpy as np
import pytest
from i1_data import images
from i1_hooks import UserError
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return file.getvalue()


@pytest.mark.golden(pattern="resize_crop*.npz")
def test_preparation_equals_the_published_one(golden_file: Path) -> None:
    arrays = np.load(golden_file, allow_pickle=False)
    for case in json.loads(golden_file.with_suffix(".json").read_text())["cases"]:
        encoded = png(arrays[f"in{case['case']}"])
        prepared = images.prepare(encoded, case["size"])
        np.testing.assert_array_equal(prepared, arrays[f"out{case['case']}"], err_msg=str(case))
        is_small = min(images.image_size(encoded)) < case["size"]
        assert is_small == case["shorter_edge_too_small"]


@pytest.mark.golden(pattern="preprocess*.npz")
def test_decoding_and_range_equal_the_published_ones(golden_file: Path) -> None:
    arrays = np.load(golden_file, allow_pickle=False)
    decoded = np.asarray(images.decode(arrays["png_bytes"].tobytes()))
    np.testing.assert_array_equal(decoded, arrays["uint8"])
    every_byte = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_float(every_byte), arrays["float32_of_byte"])
    np.testing.assert_array_equal(images.to_float(decoded), arrays["float32"])
    assert images.to_float(decoded).dtype == np.float32


def test_pixels_of_the_right_size_pass_unchanged() -> None:
    pixels = np.arange(16 * 16 * 3).astype(np.uint8).reshape(16, 16, 3)
    assert images.prepare(pixels, 16) is pixels


def test_pixels_and_their_png_prepare_alike() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)
    np.testing.assert_array_equal(images.prepare(pixels, 16), images.prepare(png(pixels), 16))


@pytest.mark.parametrize("kind", ["jpeg", "webp", "gif"])
def test_other_formats_decode(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (12, 10), (200, 100, 50)).save(file, format=kind)
    assert images.image_size(file.getvalue()) == (10, 12)
    assert np.abs(images.prepare(file.getvalue(), 10).astype(int) - [200, 100, 50]).max() < 12


def test_the_orientation_of_a_camera_is_applied() -> None:
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:4] = 255
    sideways = Image.fromarray(np.rot90(upright).copy())
    exif = sideways.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    file = io.BytesIO()
    sideways.save(file, format="png", exif=exif)
    np.testing.assert_array_equal(images.prepare(file.getvalue(), 8), upright)


def test_sixteen_bit_grey_is_scaled() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(file, format="png")
    assert np.unique(images.prepare(file.getvalue(), 4)).tolist() == [128]


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_a_broken_image_is_named(damage: str) -> None:
    whole = png(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    broken = {
        "empty": b"",
        "text": b"not an image",
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:60] + bytes(255 - byte for byte in whole[60:80]) + whole[80:],
    }[damage]
    with pytest.raises(UserError, match=r"cannot decode image 'cats/1.png'.*readable"):
        images.prepare(broken, 32, name="cats/1.png")


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (1, 4, 4, 3)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="expected uint8 of shape"):
        images.prepare(np.zeros(shape, np.uint8), 4, name="x")


def test_pixels_of_another_dtype_are_refused() -> None:
    with pytest.raises(UserError, match="float32"):
        images.prepare(np.zeros((4, 4, 3), np.float32), 4, name="x")
