"""Reading recorded backbones: the sidecar's configuration as ours, arrays in our layout."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from i1_model.adapters import AdapterConfig, MLPAdapter, TransformerAdapter
from i1_model.autoencoders import AutoencoderConfig
from i1_model.backbones import BackboneConfig, CrossAttention, DualStream, SingleStream
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders import TextEncoderConfig

PACKAGED = Path(__file__).parent / "goldens"
FOLDER = Path(os.environ.get("I1_GOLDENS") or PACKAGED)


@dataclass(frozen=True, kw_only=True)
class Embeddings(TextEncoderConfig):
    """A text encoder of which only the sizes matter."""

    num_tokens: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Latents(AutoencoderConfig):
    """An autoencoder of which only the sizes matter."""

    channels: int
    factor: int


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def adapter_config(config: dict[str, Any]) -> AdapterConfig:
    if config["text_encoder_adapter_type"] == "mlp":
        return MLPAdapter()
    return TransformerAdapter(
        num_blocks=config["text_encoder_adapter_num_blocks"],
        num_heads=config["num_heads"],
        mlp_ratio=config["mlp_ratio"],
        feed_forward="swiglu" if config["use_swiglu"] else "gelu",
        norm="rms" if config["use_rmsnorm"] else "layer",
        qk_norm=config["use_qknorm"],
    )


def adaln_name(config: dict[str, Any]) -> str:
    if not config["use_adaln"]:
        return "none"
    read = [
        name
        for name, option in (("time", "use_timestep"), ("text", "use_pooled_text"))
        if config.get(option, True)
    ]
    return "_and_".join(read)


def backbone_config(family: str, config: dict[str, Any], **changes: Any) -> BackboneConfig:
    options: dict[str, Any] = {
        "hidden_width": config["hidden_size"],
        "num_heads": config["num_heads"],
        "depth": config["depth"],
        "patch_size": config["patch_size"],
        "mlp_ratio": config["mlp_ratio"],
        "feed_forward": "swiglu" if config["use_swiglu"] else "gelu",
        "norm": "rms" if config["use_rmsnorm"] else "layer",
        "qk_norm": config["use_qknorm"],
        "sandwich_norm": config["use_sandwich_norm"],
        "adaln": adaln_name(config),
        "adaln_shift": not config["wo_shift"],
        "long_skip": config["use_long_skip"],
        "positions": config["position_embedding"],
        "repeat_text": config["repeat_text_emb"],
        "image_connector": config["use_image_connector"],
    }
    if family != "cross":
        options["rope_theta"] = config["rope_theta"]
        for name in ("rope_axes_dims", "rope_axes_lens"):
            options[name] = None if config[name] is None else tuple(config[name])
    if family == "dual":
        return DualStream(**options, separate_norms=config["use_separate_norms"], **changes)
    if family == "single":
        return SingleStream(**options, refiner_layers=config["refiner_layers"], **changes)
    return CrossAttention(**options, time_embedder=config.get("use_timestep", True), **changes)


def model_config(sidecar: dict[str, Any], **changes: Any) -> ModelConfig:
    config = sidecar["config"]
    widths, tokens = as_list(config["text_embed_dim"]), as_list(config["text_num_tokens"])
    return ModelConfig(
        backbone=backbone_config(sidecar["family"], config, **changes),
        adapter=adapter_config(config),
        text_encoders=tuple(Embeddings(num_tokens=t, width=w) for t, w in zip(tokens, widths, strict=True)),
        autoencoder=Latents(
            channels=config["in_channels"], factor=config["image_resolution"] // config["input_size"]
        ),
        flow=RectifiedFlow(),
        resolution=config["image_resolution"],
    )


@dataclass
class Golden:
    """One recorded backbone; images in NHWC."""

    name: str
    sidecar: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def image(self, name: str) -> np.ndarray:
        return self.arrays[name].transpose(0, 2, 3, 1)

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}

    @property
    def captions(self) -> list[np.ndarray]:
        if "caption" in self.arrays:
            return [self.arrays["caption"]]
        return [self.arrays[f"caption_{i}"] for i in range(len(self.part("caption_")))]

    @property
    def masks(self) -> list[np.ndarray]:
        lengths = [caption.shape[1] for caption in self.captions]
        if "mask" not in self.arrays:
            return [np.ones(caption.shape[:2], bool) for caption in self.captions]
        return np.split(self.arrays["mask"].astype(bool), np.cumsum(lengths)[:-1], axis=1)


def backbone_files() -> list[Path]:
    return sorted(FOLDER.glob("backbone_*.npz"))


def read_golden(path: Path) -> Golden:
    with np.load(path, allow_pickle=False) as arrays:
        loaded = {name: arrays[name] for name in arrays.files}
    return Golden(path.stem, json.loads(path.with_suffix(".json").read_text()), loaded)


QUICK: Any = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiler options for small programs that run once: compiling them is nearly all of their time."""
