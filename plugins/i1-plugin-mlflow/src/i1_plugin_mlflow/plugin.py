"""The components of i1-plugin-mlflow."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_loggers() -> list[Component]:
    """Offers metrics in MLflow."""
    return [Component("mlflow", "i1_plugin_mlflow.logger:MLflow", "metrics and pictures in MLflow")]
