"""The scenes benchmark: small pictures of flat shapes and short words, judged by measuring their pixels."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i1_bench.scenes.evaluation import evaluate
    from i1_bench.scenes.judge import ScenePixels, score_image
    from i1_bench.scenes.prompt_set import Scene, Thing, Word, prompts

__all__ = ["Scene", "ScenePixels", "Thing", "Word", "evaluate", "prompts", "score_image"]

_HOME = {
    "Scene": "prompt_set",
    "ScenePixels": "judge",
    "Thing": "prompt_set",
    "Word": "prompt_set",
    "evaluate": "evaluation",
    "prompts": "prompt_set",
    "score_image": "judge",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
