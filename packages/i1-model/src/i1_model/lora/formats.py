"""The key formats of LoRA files: diffusers/PEFT, ComfyUI, kohya."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from i1_hooks import UserError

from i1_model.lora.factors import Adapter, Factors

FormatName = Literal["diffusers", "comfy", "kohya"]
FORMATS: tuple[FormatName, ...] = ("diffusers", "comfy", "kohya")
PEFT_METADATA = "lora_adapter_metadata"
"""The safetensors metadata under which diffusers keeps PEFT's configuration, as JSON."""

_PREFIX = re.compile(
    r"(?:base_model\.model\.)?(?:(?P<dotted>transformer|diffusion_model)\.|(?P<kohya>lora_(?:unet|transformer)_))?"
)
_KEY = re.compile(
    r"(?P<module>.+?)\.(?:(?P<down>lora_A|lora_down)|(?P<up>lora_B|lora_up))(?:\.\w+)?\.weight|(?P<of>.+)\.alpha"
)


def encode(adapter: Adapter, name: FormatName) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Returns the arrays and the metadata of a file.

    * diffusers: `transformer.M.lora_A.weight` (rank, in) and `transformer.M.lora_B.weight` (out, rank), alpha
      in the metadata, as PEFT's configuration;
    * comfy: `diffusion_model.M.lora_down.weight`, `.lora_up.weight` and `.alpha`;
    * kohya: `lora_unet_M.lora_down.weight`, `.lora_up.weight` and `.alpha`, the dots of M as underscores.
    """
    if name not in FORMATS:
        raise UserError(f"format {name!r}: choose {', '.join(FORMATS)}")
    arrays: dict[str, np.ndarray] = {}
    for module, factors in sorted(adapter.items()):
        a, b = np.ascontiguousarray(factors.a.T), np.ascontiguousarray(factors.b.T)
        if name == "diffusers":
            arrays[f"transformer.{module}.lora_A.weight"] = a
            arrays[f"transformer.{module}.lora_B.weight"] = b
            continue
        prefix = f"diffusion_model.{module}" if name == "comfy" else "lora_unet_" + module.replace(".", "_")
        arrays[f"{prefix}.lora_down.weight"] = a
        arrays[f"{prefix}.lora_up.weight"] = b
        arrays[f"{prefix}.alpha"] = np.asarray(factors.alpha, np.float32)
    metadata = {"format": "pt"}
    if name == "diffusers":
        described = {f"transformer.{key}": value for key, value in peft_config(adapter).items()}
        metadata[PEFT_METADATA] = json.dumps(described, indent=2, sort_keys=True)
    return arrays, metadata


def peft_config(adapter: Adapter) -> dict[str, Any]:
    """Returns PEFT's `LoraConfig` of an adapter: the first layer's rank and alpha, and those that differ."""
    first = next(iter(adapter.values()))
    return {
        "peft_type": "LORA",
        "r": first.rank,
        "lora_alpha": _plain(first.alpha),
        "rank_pattern": {name: f.rank for name, f in sorted(adapter.items()) if f.rank != first.rank},
        "alpha_pattern": {
            name: _plain(f.alpha) for name, f in sorted(adapter.items()) if f.alpha != first.alpha
        },
        "target_modules": sorted(adapter),
        "lora_dropout": 0.0,
        "bias": "none",
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
    }


def _plain(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number


def detect(keys: Iterable[str]) -> FormatName:
    """Returns the format of a file from its keys; PEFT's own files count as diffusers'."""
    keys = list(keys)
    if any(key.startswith(("lora_unet_", "lora_transformer_")) for key in keys):
        return "kohya"
    is_comfy = any(key.startswith("diffusion_model.") or ".lora_down." in key for key in keys)
    return "comfy" if is_comfy else "diffusers"


def decode(
    arrays: Mapping[str, Any], config: Mapping[str, Any] | None, modules: Iterable[str] | None = None
) -> Adapter:
    """Returns the adapter of a file in any of the formats; the inverse of `encode`.

    A layer's alpha is the one beside its arrays, else that of PEFT's configuration, else its rank.

    Args:
        arrays: by key.
        config: PEFT's configuration, where there is one.
        modules: the PyTorch names of the model's layers; only kohya's keys need them.

    Raises:
        UserError: for keys that are no LoRA, or a layer of which a part is missing.
    """
    by_underscores = {name.replace(".", "_"): name for name in modules or ()}
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        module, part = _split(key, by_underscores, has_modules=modules is not None)
        parts.setdefault(module, {})[part] = np.asarray(array)
    adapter: Adapter = {}
    for module, found in sorted(parts.items()):
        if not {"down", "up"} <= found.keys():
            raise UserError(f"the LoRA is incomplete: {module} has only {', '.join(sorted(found))}")
        down, up = found["down"], found["up"]
        if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
            raise UserError(f"the LoRA is no low-rank matrix at {module}: {down.shape} and {up.shape}")
        alpha = float(found["alpha"]) if "alpha" in found else _alpha(config or {}, module, down.shape[0])
        adapter[module] = Factors(down.T, up.T, alpha)
    if not adapter:
        raise UserError("the file holds no LoRA")
    return adapter


def _split(key: str, by_underscores: Mapping[str, str], *, has_modules: bool) -> tuple[str, str]:
    """Returns the PyTorch name of a key's module and which part of it the array is."""
    prefix = _PREFIX.match(key)
    rest = key[prefix.end() :] if prefix else key
    match = _KEY.fullmatch(rest)
    if match is None:
        raise UserError(
            f"{key!r} is not a key of a LoRA file; known are {', '.join(FORMATS)} with lora_A/lora_B or "
            "lora_down/lora_up and alpha (no DoRA, LoHa or LoKr)"
        )
    module, part = (
        match["module"] or match["of"],
        "alpha" if match["of"] else "down" if match["down"] else "up",
    )
    if prefix is None or not prefix["kohya"]:
        return module, part
    if not has_modules:
        raise UserError("a kohya file does not say which layers it is for: name its model with --model")
    if module not in by_underscores:
        raise UserError(f"the LoRA is of another model: no layer {module}")
    return by_underscores[module], part


def _alpha(config: Mapping[str, Any], module: str, rank: int) -> float:
    patterns = config.get("alpha_pattern") or {}
    alpha = next(
        (value for pattern, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", module)),
        config.get("lora_alpha", rank),
    )
    return float(alpha) * (math.sqrt(rank) if config.get("use_rslora") else 1.0)
