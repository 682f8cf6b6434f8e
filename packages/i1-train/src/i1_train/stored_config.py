"""The `config.json` of earlier runs: the layout it had before, in the layout it has now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i1_model.sampling import upgrade_sampling

MOVED = {
    "ema_decay": ("average", "decay"),
    "ema_warmup": ("average", "warmup"),
    "checkpoint_every": ("checkpoints", "every"),
    "keep_checkpoints": ("checkpoints", "keep"),
    "keep_every": ("checkpoints", "keep_every"),
    "keep_best": ("checkpoints", "keep_best"),
    "machine": ("hardware", "machine"),
    "machines": ("hardware", "machines"),
    "sharding": ("hardware", "sharding"),
}
"""Fields of the recipe that became part of a group, with the group and their name in it."""
STARTS = {"init_from": "weights", "from_stage": "workdir"}
"""Fields that became one of the two kinds of `start`, with the field of that kind."""


def current_layout(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON of a recipe with every field where `TrainConfig` has it now.

    JSON that is in the current layout already comes back unchanged.

    Args:
        stored: JSON data of a recipe, from any earlier version.
    """
    data = {name: value for name, value in stored.items() if name not in MOVED and name not in STARTS}
    optimizer = data.get("optimizer")
    if isinstance(optimizer, Mapping) and "decay_pattern" in optimizer:
        rest = {name: value for name, value in optimizer.items() if name != "decay_pattern"}
        data["optimizer"] = {**rest, "decay_multipliers": [[optimizer["decay_pattern"], 1.0]]}
    for name, (group, field) in MOVED.items():
        if name in stored:
            data[group] = {**data.get(group, {}), field: stored[name]}
    if "sampling" in data:
        data["sampling"] = upgrade_sampling(data["sampling"])
    for name, field in STARTS.items():
        if stored.get(name) is not None:
            data["start"] = {field: stored[name]}
    return data
