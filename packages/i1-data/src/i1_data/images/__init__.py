"""Image preparation: decoding, resizing, cropping."""

from i1_data.images.decoding import decode, image_size, upright_size
from i1_data.images.preparing import prepare, to_float
from i1_data.images.resizing import fill_and_crop, resize_and_crop

__all__ = [
    "decode",
    "fill_and_crop",
    "image_size",
    "prepare",
    "resize_and_crop",
    "to_float",
    "upright_size",
]
