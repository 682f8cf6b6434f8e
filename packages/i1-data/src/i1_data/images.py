"""Image preparation: decoding, resizing and cropping."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from i1_hooks import UserError
from PIL import Image, ImageOps, UnidentifiedImageError

# What Pillow's decoders raise for malformed files of the various formats.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


ORIENTATION = 0x0112
"""The EXIF tag of a camera's orientation; 5 to 8 exchange height and width."""


def _open(image: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(image))
    except _BROKEN as error:
        raise _broken(name, image, error) from error


def _broken(name: str, image: bytes, error: BaseException) -> UserError:
    # Pillow's own message for an unknown format shows only the address of the buffer.
    is_unknown = isinstance(error, UnidentifiedImageError)
    reason = f"{len(image)} bytes of no known image format" if is_unknown else str(error)
    return UserError(
        f"cannot decode image {name!r}: {reason}; "
        "replace or remove it, or add the filter 'readable' to skip such images"
    )


def image_size(image: np.ndarray | bytes, *, name: str = "image") -> tuple[int, int]:
    """Returns height and width in pixels; of an encoded image only the header is read.

    Raises:
        UserError: naming an image whose header cannot be read.
    """
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    with _open(image, name) as opened:
        return opened.height, opened.width


def upright_size(image: np.ndarray | bytes, *, name: str = "image") -> tuple[int, int]:
    """Returns height and width as `decode` gives them: with the orientation that a camera noted.

    Raises:
        UserError: naming an image whose header cannot be read.
    """
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    with _open(image, name) as opened:
        try:
            is_turned = opened.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        except _BROKEN as error:
            raise _broken(name, image, error) from error
        return (opened.width, opened.height) if is_turned else (opened.height, opened.width)


def decode(image: np.ndarray | bytes, *, name: str = "image") -> Image.Image:
    """Returns an image in mode RGB.

    Transparency is dropped, as in the published records; 16-bit grey values are scaled to 8 bits; the
    orientation that a camera noted is applied; of an animation the first frame is taken.

    Args:
        image: encoded bytes, or uint8 pixels of shape (height, width, 3).
        name: how messages name the image.

    Raises:
        UserError: naming an image that cannot be decoded or pixels of another shape or dtype.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(
                f"image {name!r}: expected uint8 of shape (height, width, 3), "
                f"got {image.dtype} of {image.shape}"
            )
        return Image.fromarray(image)
    with _open(image, name) as opened:
        try:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I"):
                upright = Image.fromarray((np.asarray(upright).astype(np.uint32) // 257).astype(np.uint8))
            return upright.convert("RGB")
        except _BROKEN as error:
            raise _broken(name, image, error) from error


def fill_and_crop(image: Image.Image, height: int, width: int) -> Image.Image:
    """Scales an image until it just covers `height` x `width` pixels and cuts out the centre.

    Resampled as by `resize_and_crop`, which this is for a square.
    """
    if height == width:
        return resize_and_crop(image, height)
    scale = max(height / image.height, width / image.width)
    covering = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    if covering != image.size:
        image = image.resize(covering, Image.Resampling.BILINEAR)
    left, top = (covering[0] - width) // 2, (covering[1] - height) // 2
    return image.crop((left, top, left + width, top + height))


def resize_and_crop(image: Image.Image, resolution: int) -> Image.Image:
    """Scales the shorter edge to `resolution` pixels and cuts out the centre square.

    Bilinear with antialiasing; the longer edge becomes `round(longer * (resolution / shorter))`, the crop
    starts at half the surplus, rounded down. An image whose shorter edge has the size already is not
    resampled; a smaller one is enlarged (the filter `min_size` drops such images).

    Source: section 7 of the published description of the data; Pillow's `BILINEAR`.
    """
    width, height = image.size
    shorter = min(width, height)
    if shorter != resolution:
        scale = resolution / shorter
        width, height = (resolution if edge == shorter else round(edge * scale) for edge in (width, height))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - resolution) // 2, (height - resolution) // 2
    if (width, height) == (resolution, resolution):
        return image
    return image.crop((left, top, left + resolution, top + resolution))


def prepare(
    image: np.ndarray | bytes, resolution: int | tuple[int, int], *, name: str = "image"
) -> np.ndarray:
    """Decodes, resizes and crops to a training image.

    Args:
        image: encoded bytes, or uint8 pixels of shape (height, width, 3).
        resolution: edge of the square result in pixels, or its height and width.
        name: how messages name the image.

    Returns:
        uint8 of shape (height, width, 3).

    Raises:
        UserError: naming an image that cannot be decoded.
    """
    height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
    if isinstance(image, np.ndarray) and (image.shape, image.dtype) == ((height, width, 3), np.uint8):
        return image
    return np.asarray(fill_and_crop(decode(image, name=name), height, width))


def to_float(pixels: Any) -> Any:
    """Maps uint8 pixels to float32 in [-1, 1]: `pixels / 255 * 2 - 1`.

    Takes numpy and jax arrays alike and returns the same kind.
    """
    return pixels.astype(np.float32) / np.float32(255) * np.float32(2) - np.float32(1)
