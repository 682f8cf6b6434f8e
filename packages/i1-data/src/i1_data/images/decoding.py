"""Decoding of image files of any common format to RGB."""

from __future__ import annotations

import functools
import io
import logging
from dataclasses import dataclass

import numpy as np
from i1_hooks import UserError
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from i1_data.images.metadata import strip_metadata

FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "DIB"),
    *("TIFF", "PPM", "JPEG2000", "ICO", "TGA", "QOI"),
)
"""What is decoded, in the names of Pillow; formats that start other programs or hold drawings are not."""

ORIENTATION = 0x0112
"""The EXIF tag of a camera's orientation; 5 to 8 exchange height and width."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UPRIGHT = 1

Pixels = UInt8[np.ndarray, "height width 3"]

_logger = logging.getLogger(__name__)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def image_size(image: Pixels | bytes, *, name: str = "image") -> tuple[int, int]:
    """Returns height and width in pixels; of an encoded image only the header is read.

    Raises:
        UserError: naming an image whose header cannot be read.
    """
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    with _open(image, name).image as opened:
        return opened.height, opened.width


def upright_size(image: Pixels | bytes, *, name: str = "image") -> tuple[int, int]:
    """Returns the height and width that `decode` gives, with the orientation that a camera noted.

    Raises:
        UserError: naming an image whose header cannot be read.
    """
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    found = _open(image, name)
    with found.image as opened:
        is_turned = _orientation(found) in (5, 6, 7, 8)
        return (opened.width, opened.height) if is_turned else (opened.height, opened.width)


Colour = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""


def decode(image: Pixels | bytes, *, name: str = "image", background: Colour | None = None) -> Image.Image:
    """Returns an image in mode RGB.

    Transparency is dropped, as in the published records, unless a background is given; 16-bit grey values
    are scaled to 8 bits; the orientation that a camera noted is applied; of an animation the first frame is
    taken. Text, colour profiles and other metadata are ignored, also where they are damaged.

    Args:
        image: encoded bytes, or uint8 pixels of shape (height, width, 3).
        name: how messages name the image.
        background: the colour that shows through transparent pixels.

    Raises:
        UserError: naming an image that cannot be decoded or pixels of another shape or dtype.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UserError(
                f"image {name!r}: expected uint8 of shape (height, width, 3), "
                f"got {image.dtype} of {image.shape}"
            )
        return Image.fromarray(image)
    try:
        found = _open(image, name)
        with found.image as opened:
            opened.load()
            return _upright_rgb(opened, _orientation(found), background)
    except Exception as first:  # whatever a decoder raises on damaged bytes
        return _decode_stripped(image, name, background, first)


def _decode_stripped(image: bytes, name: str, background: Colour | None, first: Exception) -> Image.Image:
    """Decodes without metadata what could not be decoded with it."""
    stripped, _ = strip_metadata(image)
    if stripped == image or isinstance(first, UserError):
        raise first if isinstance(first, UserError) else _broken(name, image, first) from first
    try:
        with Image.open(io.BytesIO(stripped), formats=_formats()) as opened:
            opened.load()
            orientation = _orientation(_Opened(opened, image, is_stripped=True))
            return _upright_rgb(opened, orientation, background)
    except Exception:
        raise _broken(name, image, first) from first


def _upright_rgb(image: Image.Image, orientation: int, background: Colour | None) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) // 257
        image = Image.fromarray(grey.astype(np.uint8))
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if background is not None and image.has_transparency_data:
        return Image.alpha_composite(
            Image.new("RGBA", image.size, (*background, 255)), image.convert("RGBA")
        ).convert("RGB")
    return image.convert("RGB")


@dataclass(frozen=True)
class _Opened:
    """An image whose header was read.

    Attributes:
        image: the opened image.
        data: the bytes of the whole file.
        is_stripped: whether `image` was opened without the metadata in `data`.
    """

    image: Image.Image
    data: bytes
    is_stripped: bool = False


def _open(data: bytes, name: str) -> _Opened:
    try:
        return _Opened(Image.open(io.BytesIO(data), formats=_formats()), data)
    except Exception as first:  # whatever a decoder raises on damaged bytes
        stripped, _ = strip_metadata(data)
        try:
            return _Opened(Image.open(io.BytesIO(stripped), formats=_formats()), data, is_stripped=True)
        except Exception:
            raise _broken(name, data, first) from first


def _orientation(opened: _Opened) -> int:
    """Returns the orientation that a camera noted; damaged metadata means upright."""
    if opened.image.format == "TIFF":
        return _UPRIGHT  # Pillow turns these while it loads them
    try:
        if not opened.is_stripped:
            return int(opened.image.getexif().get(ORIENTATION, _UPRIGHT))
    except Exception as error:  # Pillow's parsers raise a dozen types on damaged metadata
        _logger.debug("EXIF cannot be read: %r", error)
    try:
        exif = Image.Exif()
        exif.load(strip_metadata(opened.data)[1] or b"")
        return int(exif.get(ORIENTATION, _UPRIGHT))
    except Exception as error:
        _logger.debug("EXIF cannot be read: %r", error)
        return _UPRIGHT


def _broken(name: str, image: bytes, error: BaseException) -> UserError:
    # Pillow's own message for an unknown format shows only the address of the buffer.
    is_unknown = isinstance(error, UnidentifiedImageError)
    reason = f"{len(image)} bytes of no known image format" if is_unknown else str(error) or repr(error)
    return UserError(
        f"cannot decode image {name!r}: {reason}; "
        "replace or remove it, or add the filter 'readable' to skip such images"
    )
