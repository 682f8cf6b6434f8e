"""The parameter names of the released PyTorch form, from and to the released JAX names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from i1_hooks import UserError

from i1_model.arrays.lazy import LazyArray
from i1_model.backbones import DualStream
from i1_model.config import ModelConfig
from i1_model.layers.rope import angles, default_axes

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
_WEIGHT_AXES = {2: (1, 0), 4: (3, 2, 0, 1)}
"""Of `kernel`, the inverse."""
_JAX_BLOCK = re.compile(r"blocks_(\d+)/(.+)")


def from_torch_names(arrays: Mapping[str, LazyArray]) -> dict[str, LazyArray]:
    """Returns the arrays under released JAX names and in their layout.

    Rotary tables are left out, because they are recomputed. A name that no pattern matches is kept, so that
    `check_shapes` reports it together with all others that do not fit.
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


def to_torch_names(arrays: Mapping[str, LazyArray]) -> dict[str, LazyArray]:
    """Returns the arrays under released PyTorch names and in their layout; the inverse.

    Raises:
        UserError: for arrays of a model that the released PyTorch form has no names for.
    """
    numbers = [int(match[1]) for name in arrays if (match := _JAX_BLOCK.fullmatch(name))]
    half = max(numbers, default=0) // 2
    has_skips = any("/skip_linear_" in name for name in arrays)
    renamed: dict[str, LazyArray] = {}
    unknown: list[str] = []
    for name, array in sorted(arrays.items()):
        match = _JAX_BLOCK.fullmatch(name)
        prefix = _torch_block(int(match[1]), half, has_skips) if match else ""
        part = (match[2] if match else name).replace("/", ".")
        if part.endswith(".kernel"):
            part = part.removesuffix("kernel") + "weight"
            if len(array.shape) in _WEIGHT_AXES:
                array = array.transpose(_WEIGHT_AXES[len(array.shape)])
        if not _PARTS.fullmatch(part):
            unknown.append(name)
        renamed[prefix + part] = array
    if unknown:
        raise UserError(
            f"only i1's own architecture has PyTorch names; {len(unknown)} arrays have none: "
            f"{', '.join(unknown[:5])}{' ...' if len(unknown) > 5 else ''}"
        )
    return renamed


def rope_tables(config: ModelConfig) -> dict[str, LazyArray]:
    """Returns the rotary tables that a strict load of the released PyTorch form asks for.

    Axis 0 counts text tokens, axes 1 and 2 rows and columns, scaled by 256 / resolution: (positions,
    features / 2) float32 cosines and sines.

    Raises:
        UserError: for a backbone without such tables.
    """
    backbone = config.backbone
    if not isinstance(backbone, DualStream) or backbone.positions == "sinusoidal_only":
        raise UserError("only i1's own architecture, dual_stream with rotary positions, has a PyTorch form")
    spec = config.latent_spec
    rows, columns = spec.height // backbone.patch_size, spec.width // backbone.patch_size
    lengths = backbone.rope_axes_lens or (spec.num_text_tokens + 1, rows, columns)
    widths = backbone.rope_axes_dims or default_axes(backbone.head_dim)
    tables: dict[str, LazyArray] = {}
    for axis, (length, width) in enumerate(zip(lengths, widths, strict=True)):
        scale = 1.0 if axis == 0 else 256 / config.resolution
        table = angles(np.arange(length) * scale, width, backbone.rope_theta)
        tables[f"rope_embedder.cos_tables.{axis}"] = LazyArray.of(np.cos(table))
        tables[f"rope_embedder.sin_tables.{axis}"] = LazyArray.of(np.sin(table))
    return tables


def _torch_block(index: int, half: int, has_skips: bool) -> str:
    if not has_skips:
        return f"blocks.{index}."
    if index == half:
        return "mid_block."
    return f"in_blocks.{index}." if index < half else f"out_blocks.{index - half - 1}."


def _block(name: str, half: int) -> tuple[str, str]:
    """Returns the released prefix of the block that a name belongs to, and the rest of the name."""
    for pattern, place in _BLOCKS:
        if match := pattern.fullmatch(name):
            index = {"first": 0, "middle": half, "last": half + 1}[place] + int(match[1] or 0)
            return f"blocks_{index}/", match[2]
    return "", name
