"""The scenes benchmark: small pictures of flat shapes and short words, judged by measuring their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks.lazy import lazy_exports

if TYPE_CHECKING:
    from i1_bench.scenes.evaluation import evaluate
    from i1_bench.scenes.judge import ScenePixels, score_image
    from i1_bench.scenes.prompt_set import Scene, Thing, Word, prompts

__all__ = ["Scene", "ScenePixels", "Thing", "Word", "evaluate", "prompts", "score_image"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Scene": "i1_bench.scenes.prompt_set",
        "ScenePixels": "i1_bench.scenes.judge",
        "Thing": "i1_bench.scenes.prompt_set",
        "Word": "i1_bench.scenes.prompt_set",
        "evaluate": "i1_bench.scenes.evaluation",
        "prompts": "i1_bench.scenes.prompt_set",
        "score_image": "i1_bench.scenes.judge",
    },
)
