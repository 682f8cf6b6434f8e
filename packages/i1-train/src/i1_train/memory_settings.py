"""Settings of a recipe that take less memory."""

from __future__ import annotations

from i1_hooks import to_dict

from i1_train.config import TrainConfig
from i1_train.flat_json import flatten_json

COSTLY = (
    ("model.compute_dtype", "float32", "model.compute_dtype=bfloat16"),
    ("model.backbone.remat", "none", "model.backbone.remat=full"),
)
"""Field, the value that takes the most memory, and the setting that takes less."""


def memory_settings(config: TrainConfig) -> list[str]:
    """Returns `path=value` settings that take less memory than the recipe does, at least one."""
    fields = flatten_json(to_dict(config))
    settings = [setting for path, costly, setting in COSTLY if fields.get(path) == costly]
    if config.lora.is_on and config.lora.quantization == "none":
        settings.append("lora.quantization=int8")
    parts = 2 * config.grad_accumulation
    if config.batch_size % parts == 0:
        settings.append(f"grad_accumulation={parts}")
    if config.batch_size > 1:
        settings.append(f"batch_size={config.batch_size // 2}")
    return settings or ["model.backbone.hidden_width=..., a smaller model"]
