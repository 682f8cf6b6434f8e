"""From the name of a model to its parts: where each lies, and with which configuration it is read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_model.autoencoders import AutoencoderConfig
from i1_model.autoencoders.pretrained import PretrainedAutoencoder
from i1_model.checkpoints.hub import Snapshot, fetch, is_repository
from i1_model.checkpoints.locate import locate_model
from i1_model.checkpoints.stored import open_stored, with_resolution
from i1_model.config import ModelConfig
from i1_model.lora.folder import is_adapter, load_adapter
from i1_model.text_encoders import TextEncoderConfig
from i1_model.text_encoders.pretrained import PretrainedEncoder

from i1_sample.loras import merge_loras, read_loras
from i1_sample.options import LoadOptions
from i1_sample.progress import loading_bar

_ENCODER_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json")
_VAE_FILES = ("vae/config.json", "vae/*.safetensors", "vae/*.safetensors.index.json")


@dataclass(frozen=True)
class Parts:
    """A model that is found and not loaded.

    Attributes:
        config: its configuration, with the folders of its frozen parts.
        metadata: as in `i1_model.checkpoints.folder.LoadedModel`.
        name: what the user called it.
        revision: the commit of its repository; None for a local one.
        revisions: the commit of every repository that a part comes from, the model's included.
        load_params: reads the denoiser's parameters, LoRAs merged.
    """

    config: ModelConfig
    metadata: dict[str, Any]
    name: str
    revision: str | None
    revisions: dict[str, str]
    load_params: Callable[[], Any]


def find_parts(options: LoadOptions) -> Parts:
    """Finds a model and its frozen parts, downloading what is not here.

    The files of the frozen parts are checked here, so that damage is not found after hours of sampling.

    Raises:
        UserError: when a part cannot be found, or does not fit the others.
    """
    path, snapshot = locate_model(options.model, options.resolution, options.revision)
    adapters, side = [], options.resolution
    if is_adapter(path):
        tuned = load_adapter(path)
        config, metadata = with_resolution(tuned.config, options.resolution), tuned.metadata
        adapters.append((tuned.adapter, 1.0))
        side = config.resolution
        path, snapshot = _locate_base(path, tuned.base, side)
    else:
        with open_stored(path, resolution=options.resolution) as stored:
            config, metadata = stored.config, stored.metadata
    adapters += read_loras(config, options.loras)
    snapshots = [] if snapshot is None else [snapshot]
    config = dataclasses.replace(
        config,
        text_encoders=_text_encoders(config, options.text_encoder, snapshots),
        autoencoder=_autoencoder(config.autoencoder, options.vae, options.vae_tile, snapshots),
        compute_dtype=options.dtype or config.compute_dtype,
    )

    def load_params() -> Any:
        with (
            open_stored(path, resolution=side) as stored,
            loading_bar(f"denoiser {options.model}") as progress,
        ):
            params = stored.load(
                options.dtype or "float32", sharding=options.sharding, progress=progress
            ).params
        return merge_loras(config, params, adapters)

    return Parts(
        config=config,
        metadata=metadata,
        name=options.model,
        revision=None if snapshot is None else snapshot.commit,
        revisions={found.repository: found.commit for found in snapshots},
        load_params=load_params,
    )


def _locate_base(folder: Path, base: str, resolution: int) -> tuple[Path, Snapshot | None]:
    """Returns what the adapter in a folder belongs to, as `locate_model` does."""
    try:
        return locate_model(base, resolution)
    except UserError as error:
        raise UserError(
            f"{folder} holds a LoRA for {base!r}, which is not here ({error}); give that model with --model "
            "and this folder with --lora"
        ) from error


def _text_encoders(
    config: ModelConfig, given: str | os.PathLike[str] | None, snapshots: list[Snapshot]
) -> tuple[TextEncoderConfig, ...]:
    pretrained = [e for e in config.text_encoders if isinstance(e, PretrainedEncoder)]
    if given is not None and len(pretrained) != 1:
        raise UserError(
            f"text encoder {os.fspath(given)!r} does not apply: the model has {len(pretrained)} pretrained "
            "text encoders"
        )
    return tuple(
        _text_encoder(encoder, given, snapshots) if isinstance(encoder, PretrainedEncoder) else encoder
        for encoder in config.text_encoders
    )


def _text_encoder(
    config: PretrainedEncoder, given: str | os.PathLike[str] | None, snapshots: list[Snapshot]
) -> PretrainedEncoder:
    instead = "a folder as text encoder (text_encoder=, --text-encoder)"
    folder = _folder(config.path, config.repository, given, _ENCODER_FILES, instead, snapshots)
    found = config.at(folder)
    if found.width != config.width:
        raise UserError(
            f"text encoder {folder} gives {found.width} channels, the model was trained on {config.width} of "
            f"{config.repository}: give a folder with that one"
        )
    found.check()
    return found


def _autoencoder(
    config: AutoencoderConfig,
    given: str | os.PathLike[str] | None,
    tile: int | None,
    snapshots: list[Snapshot],
) -> AutoencoderConfig:
    if not isinstance(config, PretrainedAutoencoder):
        for option, value in (("vae", given), ("vae tile", tile)):
            if value is not None:
                name = type(config).__name__
                raise UserError(f"{option} {str(value)!r} does not apply: {name} has no weights")
        return config
    if tile is not None:
        smallest = (config.tile_overlap + 1) * config.factor
        if tile < smallest or tile % config.factor:
            raise UserError(f"vae tile {tile}: use a multiple of {config.factor}, at least {smallest}")
        config = dataclasses.replace(config, tile=tile // config.factor)
    instead = "a folder as autoencoder (vae=, --vae)"
    folder = _folder(config.path, config.repository, given, _VAE_FILES, instead, snapshots)
    inside = folder / "vae"
    config = dataclasses.replace(config, path=str(inside if inside.is_dir() else folder))
    config.check()
    return config


def _folder(
    stored: str | None,
    repository: str,
    given: str | os.PathLike[str] | None,
    patterns: tuple[str, ...],
    instead: str,
    snapshots: list[Snapshot],
) -> Path:
    """Returns the folder of a frozen part: the given one, the one that the model names, or a download.

    A download is added to the snapshots.
    """
    for place in (given, stored):
        if place is not None and Path(place).expanduser().is_dir():
            return Path(place).expanduser()
    if given is not None:
        repository = os.fspath(given)
        if not is_repository(repository):
            raise UserError(f"{repository!r} is not a folder: give {instead}, or a repository owner/name")
    snapshots.append(fetch(repository, patterns, instead=instead))
    return snapshots[-1].folder
