"""Reads the released checkpoints of i1, in any of their forms."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from flax import nnx
from i1_hooks import UserError

from i1_model.adapters import TransformerAdapter
from i1_model.arrays.archive import Archive
from i1_model.arrays.dtypes import WeightDtype, weight_dtype
from i1_model.arrays.json_object import JsonObject, read_json
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.loading import Progress
from i1_model.arrays.npz import npz_arrays
from i1_model.arrays.safetensors import find_safetensors, safetensors_arrays
from i1_model.arrays.torch_zip import is_torch_zip, read_torch_zip
from i1_model.autoencoders import AutoencoderConfig
from i1_model.backbones import DualStream
from i1_model.checkpoints.names import from_released
from i1_model.checkpoints.torch_names import from_torch_names
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.sizes import TIME_SHIFT
from i1_model.text_encoders import TextEncoderConfig

WeightsName = Literal["ema", "raw"]
_NPZ_PREFIX = {"ema": "params_ema/", "raw": "params/"}


def load_released(
    path: str | os.PathLike[str],
    config: ModelConfig,
    *,
    weights: WeightsName = "ema",
    dtype: WeightDtype = "float32",
    progress: Progress | None = None,
) -> nnx.State:
    """Reads the parameters of a denoiser from a released checkpoint, array by array, in one pass.

    Args:
        path: as for `open_released`.
        config: the model; its resolution may differ from the checkpoint's, since positions are recomputed.
        weights: as for `open_released`.
        dtype: the dtype of the parameters, rounded to nearest; frozen tables stay float32.
        progress: as for `i1_model.checkpoints.names.from_released`.

    Returns:
        The state that `nnx.merge` takes.

    Raises:
        UserError: as `open_released`, or listing all names that are missing, unknown or of another shape.
    """
    with open_released(path, weights=weights) as arrays:
        target = weight_dtype(dtype)
        try:
            given = {name: array.astype(target) for name, array in arrays.items()}
            return from_released(config, given, progress=progress)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


@contextmanager
def open_released(
    path: str | os.PathLike[str], *, weights: WeightsName = "ema"
) -> Iterator[dict[str, LazyArray]]:
    """Opens a released checkpoint; the arrays can be read until the `with` block ends.

    Args:
        path: a `.npz` training checkpoint (`checkpoint.npz-*`), a PyTorch `.pt`, a safetensors file or the
            index of its shards with the PyTorch names, or a folder with
            `diffusion_pytorch_model.safetensors`.
        weights: `"ema"`, the averaged ones, or `"raw"`, those of the last step, which a `.npz` and the `.pt`
            of a training run hold.

    Yields:
        One array per released JAX name, in that layout.

    Raises:
        UserError: for a missing, truncated, corrupted or foreign file, pickled code, or weights it does
            not hold.
    """
    with open_file(path, weights=weights) as file:
        yield file.arrays


@dataclass(frozen=True)
class ReleasedFile:
    """An open checkpoint.

    Attributes:
        arrays: one array per released JAX name, in that layout.
        about: the settings in the file, under `config` and `i1`; empty for a `.npz`.
    """

    arrays: dict[str, LazyArray]
    about: JsonObject


@contextmanager
def open_file(path: str | os.PathLike[str], *, weights: WeightsName = "ema") -> Iterator[ReleasedFile]:
    """Opens a checkpoint as `open_released` does, with the settings that it holds."""
    path = Path(path)
    if weights not in _NPZ_PREFIX:
        raise UserError(f"weights {weights!r}: choose {' or '.join(_NPZ_PREFIX)}")
    if path.is_dir():
        path = find_safetensors(path, "diffusion_pytorch_model")
    if path.suffix in (".safetensors", ".json"):
        if weights != "ema":
            raise UserError(f"{path} holds one set of weights, the averaged ones: choose weights 'ema'")
        beside = path.with_name("config.json")
        config = read_json(beside) if beside.is_file() else {}
        about = {"config": config, **({"i1": config["i1"]} if "i1" in config else {})}
        yield ReleasedFile(from_torch_names(safetensors_arrays(path)), about)
        return
    with Archive(path) as archive:
        if is_torch_zip(archive):
            saved = read_torch_zip(archive)
            state = _torch_state(path, saved, weights)
            about = {key: saved[key] for key in ("config", "i1") if isinstance(saved.get(key), dict)}
            yield ReleasedFile(from_torch_names(state), about)
            return
        arrays = npz_arrays(archive, _NPZ_PREFIX[weights])
        if not arrays:
            raise UserError(
                f"{path} has no entries {_NPZ_PREFIX[weights]}*: it holds no i1 training checkpoint"
            )
        yield ReleasedFile(arrays, {})


def infer_config(
    arrays: Mapping[str, LazyArray],
    *,
    text_encoders: tuple[TextEncoderConfig, ...],
    autoencoder: AutoencoderConfig,
    resolution: int | None = None,
) -> ModelConfig:
    """Returns the i1 model that a released checkpoint belongs to, from the shapes of its arrays.

    Args:
        arrays: what `open_released` yields.
        text_encoders: the text encoders, which a checkpoint does not name.
        autoencoder: the autoencoder, which a checkpoint does not name.
        resolution: pixels; None takes the one the checkpoint was trained at.

    Raises:
        UserError: when the arrays are not those of an i1 model.
    """
    needed = ("x_embedder/proj/kernel", "blocks_0/attn/q_norm/scale", "pos_embed")
    if absent := [name for name in needed if name not in arrays]:
        raise UserError(f"the checkpoint is not an i1 model: it lacks {', '.join(absent)}")
    patch_size, _, _, width = arrays[needed[0]].shape
    num_heads = width // arrays[needed[1]].shape[0]
    grid = math.isqrt(arrays[needed[2]].shape[1])
    resolution = resolution or grid * patch_size * autoencoder.factor
    norms = _count(arrays, r"text_encoder_adapter/connector_norm(\d+)/scale")
    return ModelConfig(
        backbone=DualStream(
            hidden_width=width,
            num_heads=num_heads,
            patch_size=patch_size,
            depth=_count(arrays, r"blocks_(\d+)/norm1/scale"),
            long_skip=any("/skip_linear_" in name for name in arrays),
        ),
        adapter=TransformerAdapter(num_blocks=norms // 2, num_heads=num_heads),
        text_encoders=text_encoders,
        autoencoder=autoencoder,
        flow=RectifiedFlow(shift=TIME_SHIFT.get(resolution, 1.0)),
        resolution=resolution,
    )


def _count(arrays: Mapping[str, LazyArray], pattern: str) -> int:
    return sum(1 for name in arrays if re.fullmatch(pattern, name))


def _torch_state(path: Path, saved: Any, weights: WeightsName) -> dict[str, LazyArray]:
    """Returns the state dict of what `torch.save` stored."""
    place = "model" if weights == "ema" else "train_state/model_raw"
    state = saved
    for key in place.split("/"):
        state = state.get(key) if isinstance(state, dict) else None
    if not isinstance(state, dict) or not all(isinstance(array, LazyArray) for array in state.values()):
        raise UserError(f"{path} has no tensors under {place!r}: it holds no {weights} weights of i1")
    return {name: replace(array, name=f"{path}: {name}") for name, array in state.items()}
