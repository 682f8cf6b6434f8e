"""A stored model of any form: its configuration, and its arrays, which are read on demand."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from i1_hooks import UserError

from i1_model.arrays.dtypes import WeightDtype, is_weight, weight_dtype
from i1_model.arrays.json_object import JsonObject, read_json
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.loading import Progress, Sharding
from i1_model.arrays.safetensors import find_safetensors, safetensors_arrays
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.checkpoints.folder import CONFIG_FILE, FORMAT, LoadedModel, from_record, read_config
from i1_model.checkpoints.names import from_released
from i1_model.checkpoints.released import WeightsName, infer_config, open_file
from i1_model.config import ModelConfig
from i1_model.text_encoders.t5gemma import T5GemmaEncoder

PUBLISHED_RESOLUTIONS = (256, 512, 1024)
TORCH_FILE = "{}_resolution_checkpoint_torch.pt"
"""The name of the published PyTorch checkpoint of a resolution."""
MODEL_INDEX = "model_index.json"
TRANSFORMER = "transformer"
_NPZ = re.compile(r"checkpoint\.npz-(\d+)")


@dataclass(frozen=True)
class StoredModel:
    """A model whose arrays are not read yet.

    Attributes:
        path: the file or folder that holds the weights.
        config: the model's configuration.
        metadata: as in `i1_model.checkpoints.folder.LoadedModel`.
        arrays: one array per released JAX name.
    """

    path: Path
    config: ModelConfig
    metadata: JsonObject
    arrays: dict[str, LazyArray]

    def load(
        self,
        dtype: WeightDtype = "float32",
        *,
        sharding: Sharding | None = None,
        progress: Progress | None = None,
    ) -> LoadedModel:
        """Reads the parameters in one pass.

        Args:
            dtype: the dtype of the parameters; frozen tables stay float32.
            sharding: as for `i1_model.checkpoints.names.from_released`.
            progress: as for `i1_model.checkpoints.names.from_released`.

        Raises:
            UserError: when the arrays do not fit the configuration, or the file is damaged.
        """
        target = weight_dtype(dtype)
        arrays = {name: array.astype(target) for name, array in self.arrays.items()}
        try:
            params = from_released(self.config, arrays, sharding=sharding, progress=progress)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error
        return LoadedModel(self.config, params, self.metadata)


@contextmanager
def open_stored(
    path: str | os.PathLike[str], *, weights: WeightsName = "ema", resolution: int | None = None
) -> Iterator[StoredModel]:
    """Opens a model; its arrays can be read until the `with` block ends.

    Args:
        path: a model folder, a diffusers folder (`model_index.json` with `transformer/`, or the latter), a
            folder with published checkpoints, or one such file (`.npz`, `.pt`, safetensors).
        weights: `"ema"` or `"raw"`, see `i1_model.checkpoints.released.open_released`.
        resolution: pixels; None is the model's own. Among published checkpoints it selects the nearest.

    Raises:
        UserError: for a file or folder that is none of these, is damaged, or does not fit the resolution.
    """
    path = _find(Path(path).expanduser(), resolution)
    if path.is_dir() and (path / CONFIG_FILE).is_file() and _is_ours(path):
        if weights != "ema":
            raise UserError(f"{path} holds one set of weights, the averaged ones: choose weights 'ema'")
        config, metadata = read_config(path)
        weights_file = find_safetensors(path, "model")
        arrays = {name.replace(".", "/"): array for name, array in safetensors_arrays(weights_file).items()}
        yield _checked(StoredModel(path, with_resolution(config, resolution), metadata, arrays))
        return
    with open_file(path, weights=weights) as file:
        if "i1" in file.about:
            config, metadata = from_record(file.about["i1"], str(path))
            config = with_resolution(config, resolution)
        else:
            config = _published_config(file.arrays, file.about.get("config", {}), resolution)
            found = _NPZ.fullmatch(path.name)
            metadata = {"step": int(found[1])} if found else {}
        yield _checked(StoredModel(path, config, metadata, file.arrays))


def nearest_resolution(resolution: int) -> int:
    """Returns the published resolution whose ratio to the given one is nearest to 1."""
    return min(PUBLISHED_RESOLUTIONS, key=lambda side: max(side / resolution, resolution / side))


def with_resolution(config: ModelConfig, resolution: int | None) -> ModelConfig:
    """Returns the configuration for another resolution; None keeps its own.

    Raises:
        UserError: for a size that the autoencoder and the patches do not divide.
    """
    if resolution is None:
        return config
    if resolution < 1 or resolution % config.size_unit:
        raise UserError(f"resolution {resolution}: use a positive multiple of {config.size_unit}")
    return dataclasses.replace(config, resolution=resolution)


def _is_ours(folder: Path) -> bool:
    return read_json(folder / CONFIG_FILE).get("format") == FORMAT


def _find(path: Path, resolution: int | None) -> Path:
    """Returns the file, or the folder that holds `config.json` and the weights."""
    if not path.is_dir():
        return path
    if (path / MODEL_INDEX).is_file():
        return path / TRANSFORMER
    if (path / CONFIG_FILE).is_file():
        return path
    published = [side for side in PUBLISHED_RESOLUTIONS if (path / TORCH_FILE.format(side)).is_file()]
    if published:
        wanted = nearest_resolution(resolution or max(published))
        if wanted in published:
            return path / TORCH_FILE.format(wanted)
        listed = ", ".join(map(str, published))
        raise UserError(f"{path} has no {TORCH_FILE.format(wanted)}; its resolutions are {listed}")
    steps = {int(match[1]): child for child in path.iterdir() if (match := _NPZ.fullmatch(child.name))}
    return steps[max(steps)] if steps else path


def _published_config(
    arrays: Mapping[str, LazyArray], released: JsonObject, resolution: int | None
) -> ModelConfig:
    """Returns i1 with the sizes of the arrays and the settings of the file."""
    name = "text_encoder_adapter/learnable_null_caption"
    text, patches = arrays.get(name), arrays.get("x_embedder/proj/kernel")
    if text is None or len(text.shape) != 3 or patches is None or len(patches.shape) != 4:
        raise UserError(f"the checkpoint is not an i1 model: it lacks {name} or x_embedder/proj/kernel")
    side, latent = released.get("image_resolution"), released.get("input_size")
    factor = side // latent if isinstance(side, int) and isinstance(latent, int) and latent > 0 else 8
    config = infer_config(
        arrays,
        text_encoders=(T5GemmaEncoder(num_tokens=text.shape[1], width=text.shape[2]),),
        autoencoder=Flux2Autoencoder(channels=patches.shape[2], factor=factor),
    )
    return with_resolution(config, resolution)


def _checked(stored: StoredModel) -> StoredModel:
    wrong = sorted(name for name, array in stored.arrays.items() if not is_weight(array.stored))
    if wrong:
        raise UserError(f"{stored.path}: {', '.join(wrong)} are not floating-point numbers")
    return stored
