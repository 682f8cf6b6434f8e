"""The components of i1-plugin-wandb."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_loggers() -> list[Component]:
    """Offers metrics in Weights & Biases."""
    return [Component("wandb", "i1_plugin_wandb.logger:WandB", "metrics and pictures in Weights & Biases")]
