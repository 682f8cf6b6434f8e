import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from i1_data import images
from i1_data.filters import ReadableFilter
from i1_data.images.metadata import strip_metadata
from i1_hooks import UserError
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return file.getvalue()


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


def jpeg(size: tuple[int, int] = (60, 20), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(file, "JPEG", **options)
    return file.getvalue()


def tiff_block(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """An EXIF block of one entry."""
    return b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + struct.pack(">HHI", tag, kind, count) + value + bytes(4)


BAD_EXIF = {
    "orientation is text": tiff_block(0x0112, 2, 4, b"abc\0"),
    "orientation is 4294967295": tiff_block(0x0112, 4, 1, b"\xff\xff\xff\xff"),
    "orientation is a list": tiff_block(0x0112, 3, 2, b"\0\x06\0\x06"),
    "a resolution of -1": tiff_block(0x011A, 10, 1, b"\0\0\0\x1a") + struct.pack(">ii", -1, 1),
    "a resolution over 0": tiff_block(0x011A, 5, 1, b"\0\0\0\x1a") + struct.pack(">II", 1, 0),
    "a unit of text": tiff_block(0x0128, 2, 4, b"abc\0"),
    "a count that is too high": tiff_block(0x8769, 4, 2**31, b"\0\0\0\x1a"),
    "an offset beyond the end": tiff_block(0x011A, 5, 1, b"\x7f\xff\xff\xff"),
    "a pointer that is text": tiff_block(0x8769, 2, 4, b"abc\0"),
    "cut": b"MM\x00\x2a\x00\x00",
    "no block": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD_EXIF)
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_damaged_exif_leaves_the_pixels(name: str, kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (24, 16), (200, 100, 50)).save(
        file, kind, exif=b"Exif\0\0" + BAD_EXIF[name], **({"lossless": True} if kind == "webp" else {})
    )
    assert images.upright_size(file.getvalue()) == (16, 24)
    assert np.abs(np.asarray(images.decode(file.getvalue())).astype(int) - [200, 100, 50]).max() < 4
    assert ReadableFilter().keep({"image": file.getvalue(), "captions": [], "key": "k"})


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(2**22))),
        png_chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(bytes(2**22))),
        png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2**22))),
        png_chunk(b"pHYs", b"\0"),
        png_chunk(b"iCCP", b"profile\0\7"),
        b"\0\0\0\4tEXtnote\0\0\0\0",
    ],
    ids=[
        "text",
        "international text",
        "profile",
        "short resolution",
        "unknown compression",
        "wrong checksum",
    ],
)
def test_metadata_of_a_png_never_decides(chunk: bytes, place: str) -> None:
    turned = png(np.arange(24 * 16 * 3).astype(np.uint8).reshape(24, 16, 3))
    turn = png_chunk(b"eXIf", tiff_block(0x0112, 3, 1, b"\0\x06\0\0"))
    cut = 33 if place == "before" else len(turned) - 12
    data = turned[:cut] + chunk + turn + turned[cut:]
    expected = np.rot90(np.asarray(images.decode(turned)), -1)
    np.testing.assert_array_equal(np.asarray(images.decode(data)), expected)
    assert images.upright_size(data) == (16, 24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_upright_size_is_the_decoded_one(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", (64, 32)).save(file, kind, exif=exif)
    width, height = images.decode(file.getvalue()).size
    assert images.upright_size(file.getvalue()) == (height, width)
    assert ((width, height) == (32, 64)) == (orientation >= 5)


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B"])
def test_deep_grey_values_are_cut_never_wrapped(mode: str) -> None:
    values = {"I": [-5, 0, 65535, 10**9], "I;16": [0, 0, 65535, 65535], "I;16B": [0, 0, 65535, 65535]}[mode]
    dtype = {"I": np.int32, "I;16": "<u2", "I;16B": ">u2"}[mode]
    file = io.BytesIO()
    Image.frombytes(mode, (4, 1), np.array(values, dtype).tobytes()).save(file, "TIFF")
    assert np.asarray(images.decode(file.getvalue()))[0, :, 0].tolist() == [0, 0, 255, 255]


def test_metadata_is_taken_off_and_pixels_stay() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "WEBP"):
        file = io.BytesIO()
        noise.save(file, kind, exif=exif, icc_profile=b"profile" * 50)
        stripped, found = strip_metadata(file.getvalue())
        assert found is not None
        assert b"profileprofile" not in stripped
        with Image.open(io.BytesIO(stripped)) as bare, Image.open(file) as whole:
            assert not bare.getexif()
            np.testing.assert_array_equal(np.asarray(bare), np.asarray(whole))


def test_drawings_and_documents_are_no_images() -> None:
    with pytest.raises(UserError, match="no known image format"):
        images.decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


def test_no_pixels_are_refused() -> None:
    with pytest.raises(UserError, match=r"got uint8 of \(0, 4, 3\)"):
        images.decode(np.zeros((0, 4, 3), np.uint8))
