"""The parameter names of the released PyTorch form, and the way to the released JAX names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from i1_model.formats.lazy import LazyArray

_RECOMPUTED = re.compile(r"rope_embedder\.(?:cos|sin)_tables\.\d+")
_BLOCKS = (
    (re.compile(r"in_blocks\.(\d+)\.(.+)"), "first"),
    (re.compile(r"mid_block()\.(.+)"), "middle"),
    (re.compile(r"out_blocks\.(\d+)\.(.+)"), "last"),
    (re.compile(r"blocks\.(\d+)\.(.+)"), "first"),
)
_PARTS = re.compile(
    r"""(?x)
    (?: norm[1-4] | attn\.[a-z_]+ | mlp_(?:image|text)\.[a-z0-9]+ | skip_linear_(?:image|text)
      | x_embedder\.proj | t_embedder\.linear[12] | final_layer\.(?:norm_final|linear)
      | text_encoder_adapter\.(?: connector_in | connector_norm\d+ | connector_(?:attn|mlp)\d*\.[a-z0-9_]+ )
    )\.(?: weight | bias | scale )
    | pos_embed | text_encoder_adapter\.learnable_null_caption"""
)
_KERNEL_AXES = {2: (1, 0), 4: (2, 3, 1, 0)}
"""Of `weight`: dense (out, in) to (in, out), convolution (out, in, row, column) to (row, column, in, out)."""


def from_torch_names(arrays: Mapping[str, LazyArray]) -> dict[str, LazyArray]:
    """Returns the arrays under released JAX names and in their layout.

    Rotary tables are left out, since they are recomputed. A name that no pattern matches stays as it is, so
    that it is reported as unknown together with whatever else does not fit.
    """
    half = len({match[1] for name in arrays if (match := _BLOCKS[0][0].fullmatch(name))})
    renamed: dict[str, LazyArray] = {}
    for name, array in arrays.items():
        if _RECOMPUTED.fullmatch(name):
            continue
        prefix, part = _block(name, half)
        is_kernel = part.endswith(".weight")
        if not _PARTS.fullmatch(part) or (is_kernel and len(array.shape) not in _KERNEL_AXES):
            renamed[name] = array
        elif is_kernel:
            released = prefix + part.removesuffix("weight").replace(".", "/") + "kernel"
            renamed[released] = array.transpose(_KERNEL_AXES[len(array.shape)])
        else:
            renamed[prefix + part.replace(".", "/")] = array
    return renamed


def _block(name: str, half: int) -> tuple[str, str]:
    """Returns the released prefix of the block that a name belongs to, and the rest of the name."""
    for pattern, place in _BLOCKS:
        if match := pattern.fullmatch(name):
            index = {"first": 0, "middle": half, "last": half + 1}[place] + int(match[1] or 0)
            return f"blocks_{index}/", match[2]
    return "", name
