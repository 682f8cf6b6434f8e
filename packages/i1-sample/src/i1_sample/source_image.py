"""The picture that a call starts from, and the mask of what is painted anew."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_hooks import UserError
from i1_hooks.files import user_path
from i1_hooks.text import one_line
from PIL import Image, ImageOps

ImageInput = Image.Image | np.ndarray | str | os.PathLike[str]
"""A Pillow image, uint8 pixels (H, W, 3) or (H, W), or the path of a file."""
DEFAULT_STRENGTH = 0.8
_HALF = 128


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """A picture that is changed.

    Attributes:
        pixels: (H, W, 3) float32 in [-1, 1].
        repaint: (h, w) bool on the grid of the latents, True where the picture is painted anew; None is
            everywhere.
        strength: how much is changed, above 0 and at most 1.
    """

    pixels: np.ndarray
    repaint: np.ndarray | None
    strength: float

    def first_step(self, num_steps: int) -> int:
        """Returns how many of the steps are left out at the beginning."""
        return num_steps - max(1, round(num_steps * self.strength))


def prepare_source(
    image: ImageInput,
    mask_image: ImageInput | None,
    strength: float | None,
    size: tuple[int | None, int | None],
    *,
    unit: int,
    factor: int,
) -> SourceImage:
    """Returns a source for pictures of a size.

    Args:
        image: the picture; transparency is dropped.
        mask_image: white where it is painted anew, of the picture's size.
        strength: None is 0.8.
        size: height and width that the picture is resized to; None keeps a side.
        unit: what both sides are multiples of.
        factor: pixels per latent position.

    Raises:
        UserError: for a file that cannot be read, sides that do not fit, or a mask of another size.
    """
    picture = _open(image, "image").convert("RGB")
    mask = None if mask_image is None else _open(mask_image, "mask_image").convert("L")
    if mask is not None and mask.size != picture.size:
        raise UserError(
            f"mask_image is {mask.width}x{mask.height} and image {picture.width}x{picture.height}; give a "
            "mask of the picture's size"
        )
    height, width = size[0] or picture.height, size[1] or picture.width
    if height % unit or width % unit:
        raise UserError(
            f"image is {picture.width}x{picture.height}, and the sides of pictures are multiples of {unit}; "
            "give width and height to resize it to"
        )
    if (width, height) != picture.size:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        mask = mask and mask.resize((width, height), Image.Resampling.NEAREST)
    pixels = np.asarray(picture, np.float32) / np.float32(127.5) - 1
    repaint = None
    if mask is not None:
        cells = np.asarray(mask).reshape(height // factor, factor, width // factor, factor)
        repaint = np.asarray((cells >= _HALF).any(axis=(1, 3)))
        if not repaint.any():
            raise UserError("mask_image is black everywhere: paint white what is to be painted anew")
    return SourceImage(
        pixels=pixels, repaint=repaint, strength=DEFAULT_STRENGTH if strength is None else strength
    )


def _open(image: ImageInput, name: str) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise UserError(f"{name} is {image.dtype} {image.shape}; expected uint8 (H, W, 3) or (H, W)")
        return Image.fromarray(image)
    path: Path = user_path(image)
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened)
    except FileNotFoundError as error:
        raise UserError(f"{name}: no file {path}") from error
    except Exception as error:  # Pillow raises errors of many types for damaged files
        raise UserError(f"{name}: cannot read {path} as an image: {one_line(error)}") from error
