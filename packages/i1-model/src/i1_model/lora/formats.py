"""The key formats of LoRA files: diffusers/PEFT, ComfyUI, kohya."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_model.arrays.json_object import JsonObject
from i1_model.lora.factors import Adapter, Factors, unknown_layers

FormatName = Literal["diffusers", "comfy", "kohya"]
FORMATS: tuple[FormatName, ...] = ("diffusers", "comfy", "kohya")
PEFT_METADATA = "lora_adapter_metadata"
"""The safetensors metadata under which diffusers keeps PEFT's configuration, as JSON."""

_LARGEST_ALPHA = float(np.finfo(np.float32).max)
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


def peft_config(adapter: Adapter) -> JsonObject:
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
    arrays: Mapping[str, np.ndarray], config: JsonObject | None, modules: Iterable[str] | None = None
) -> Adapter:
    """Returns the adapter of a file in any of the formats; the inverse of `encode`.

    The alpha of a layer is the array of that name, else the one in PEFT's configuration, else the rank of the
    layer, which gives a scale of 1.

    Args:
        arrays: by key.
        config: PEFT's configuration, where there is one.
        modules: the PyTorch names of the model's layers; only kohya's keys need them.

    Raises:
        UserError: naming a key that is not of a LoRA, a layer of which a part is missing, matrices that have
            no product or rank 0, an alpha that is not one finite number, or layers that the model lacks.
    """
    by_underscores = None if modules is None else {name.replace(".", "_"): name for name in modules}
    parts: dict[str, dict[str, tuple[str, np.ndarray]]] = {}
    absent: set[str] = set()
    for key, array in arrays.items():
        module, part, is_known = _split(key, by_underscores)
        found = parts.setdefault(module, {})
        if part in found:
            raise UserError(f"{key} and {found[part][0]} are the same part of the LoRA")
        found[part] = key, array
        if not is_known:
            absent.add(module)
    if absent:
        raise unknown_layers(absent, len(parts))
    if not parts:
        raise UserError("the file holds no LoRA")
    patterns = AlphaPatterns(config or {})
    return {module: _factors(module, found, patterns) for module, found in sorted(parts.items())}


def _factors(module: str, found: Mapping[str, tuple[str, np.ndarray]], patterns: AlphaPatterns) -> Factors:
    if not {"down", "up"} <= found.keys():
        keys = ", ".join(sorted(key for key, _ in found.values()))
        raise UserError(f"the LoRA is incomplete: {module} has only {keys}")
    (down_key, down), (up_key, up) = found["down"], found["up"]
    if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1] or not down.size or not up.size:
        raise UserError(
            f"the LoRA is no low-rank matrix at {module}: {down_key} {down.shape} and {up_key} {up.shape}; "
            "expected (rank, in) and (out, rank) with a rank of 1 or more"
        )
    if "alpha" not in found:
        return Factors(down.T, up.T, patterns.alpha(module, down.shape[0]))
    key, alpha = found["alpha"]
    if alpha.size != 1:
        raise UserError(f"{key} has shape {alpha.shape}, expected one number")
    return Factors(down.T, up.T, float(alpha.reshape(())))


def _split(key: str, by_underscores: Mapping[str, str] | None) -> tuple[str, str, bool]:
    """Returns the PyTorch name of a key's module, which part of it the array is, and whether it is known.

    A module is unknown when only the model could tell its name, and does not have it.
    """
    prefix = _PREFIX.match(key)
    rest = key[prefix.end() :] if prefix else key
    match = _KEY.fullmatch(rest)
    if match is None:
        raise UserError(
            f"{key!r} is not a key of a LoRA file; known are {', '.join(FORMATS)} with lora_A/lora_B or "
            "lora_down/lora_up and alpha (no DoRA, LoHa or LoKr)"
        )
    module = match["module"] or match["of"]
    part = "alpha" if match["of"] else "down" if match["down"] else "up"
    if prefix is None or not prefix["kohya"]:
        return module, part, True
    if by_underscores is None:
        raise UserError("a kohya file does not say which layers it is for: name its model with --model")
    return by_underscores.get(module, module), part, module in by_underscores


class AlphaPatterns:
    """The alphas in PEFT's configuration.

    Args:
        config: PEFT's `LoraConfig` as JSON.

    Raises:
        UserError: for an alpha that is not a finite number, or a pattern that is not a regular expression.
    """

    def __init__(self, config: JsonObject) -> None:
        self._default = None if config.get("lora_alpha") is None else _number(config["lora_alpha"])
        self._is_rooted = bool(config.get("use_rslora"))
        patterns = config.get("alpha_pattern") or {}
        if not isinstance(patterns, Mapping):
            raise UserError(f"alpha_pattern is {patterns!r}, expected alphas by pattern")
        self._patterns: list[tuple[re.Pattern[str], float]] = []
        for pattern, alpha in patterns.items():
            try:
                compiled = re.compile(rf"(?:.*\.)?(?:{pattern})")
            except (re.error, OverflowError, RecursionError) as error:
                raise UserError(
                    f"alpha_pattern: {pattern!r} is not a regular expression: {one_line(error)}"
                ) from error
            self._patterns.append((compiled, _number(alpha)))

    def alpha(self, module: str, rank: int) -> float:
        """Returns the alpha of a layer."""
        default = rank if self._default is None else self._default
        alpha = next((value for pattern, value in self._patterns if pattern.fullmatch(module)), default)
        return alpha * (math.sqrt(rank) if self._is_rooted else 1.0)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST_ALPHA:
        raise UserError(f"alpha is {value!r}, expected a finite number")
    return float(value)
