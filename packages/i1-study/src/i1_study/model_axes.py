"""Studies of the network: adapter, long skips, AdaLN, backbone family, prediction target."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from i1_model.adapters.transformer import TransformerAdapter
from i1_model.backbones.dual_stream import DualStream
from i1_model.backbones.patch_transformer import PatchTransformerConfig
from i1_model.backbones.single_stream import SingleStream
from i1_train.config import TrainConfig

from i1_study.base import Arm, Published, StudyConfig
from i1_study.recipe import baseline

METRICS = ("DPG-Bench", "PRISM", "LongText")
PAPER = "arXiv 2606.11289, 500,000 steps at 256 pixels"


@dataclass(frozen=True, kw_only=True)
class AdapterStudy(StudyConfig):
    """Do transformer blocks between text encoder and backbone help, against an MLP per token?"""

    def arms(self) -> tuple[Arm, ...]:
        """Returns the MLP, and one and two blocks."""
        blocks = {f"{n} block{'s' * (n > 1)}": with_model(baseline(), adapter=adapter(n)) for n in (1, 2)}
        return tuple(Arm(name=name, recipe=recipe) for name, recipe in {"mlp": baseline(), **blocks}.items())

    def published(self) -> Published:
        """Returns the scores with the cross-attention backbone; the other two agree."""
        scores = {
            "mlp": (84.66, 56.4, 0.211),
            "1 block": (86.33, 58.7, 0.414),
            "2 blocks": (86.36, 60.0, 0.451),
        }
        return Published(metrics=METRICS, scores=scores, source=f"{PAPER}, figure of adapter sizes")


@dataclass(frozen=True, kw_only=True)
class LongSkipStudy(StudyConfig):
    """Do long skips help, at the same depth and width?"""

    def arms(self) -> tuple[Arm, ...]:
        """Returns the dual-stream baseline without and with them."""
        dual = with_model(baseline(), backbone=family(DualStream))
        return (
            Arm(name="without", recipe=with_backbone(dual, long_skip=False)),
            Arm(name="long skips", recipe=dual),
        )

    def published(self) -> Published:
        """Returns the scores of the dual stream of width 1152."""
        scores = {"without": (85.77, 56.2, 0.297), "long skips": (86.82, 58.3, 0.439)}
        return Published(
            metrics=METRICS,
            scores=scores,
            source=f"{PAPER}, figure of backbone sizes (1.24 B parameters with long skips, 1.13 B without)",
        )


@dataclass(frozen=True, kw_only=True)
class AdalnStudy(StudyConfig):
    """Is AdaLN on time and pooled text needed, once the adapter has transformer blocks?

    i1 has no AdaLN, so its blocks do not see the time. No published numbers are available for this axis, so
    the study has no direction to agree with.
    """

    def arms(self) -> tuple[Arm, ...]:
        """Returns the baseline with two adapter blocks, with AdaLN and without."""
        blocks = with_model(baseline(), adapter=adapter(2))
        return Arm(name="adaln", recipe=blocks), Arm(name="none", recipe=with_backbone(blocks, adaln="none"))


@dataclass(frozen=True, kw_only=True)
class BackboneStudy(StudyConfig):
    """Which backbone family is best, at the same depth and width?"""

    def arms(self) -> tuple[Arm, ...]:
        """Returns cross-attention, single stream and dual stream."""
        return (
            Arm(name="cross", recipe=baseline()),
            Arm(name="single", recipe=with_model(baseline(), backbone=family(SingleStream))),
            Arm(name="dual", recipe=with_model(baseline(), backbone=family(DualStream))),
        )

    def published(self) -> Published:
        """Returns the scores at width 1152."""
        scores = {"cross": (84.66, 56.4, 0.211), "single": (85.89, 55.6, 0.293), "dual": (86.82, 58.3, 0.439)}
        return Published(
            metrics=METRICS,
            scores=scores,
            source=f"{PAPER}, the three baselines (0.89, 0.82 and 1.24 B parameters)",
        )


@dataclass(frozen=True, kw_only=True)
class PredictionStudy(StudyConfig):
    """Does predicting the data beat predicting the velocity, in pixels?

    The published code has both; results were not found.
    """

    def arms(self) -> tuple[Arm, ...]:
        """Returns velocity and data."""
        model = baseline().model
        return tuple(
            Arm(
                name=name,
                recipe=with_model(baseline(), flow=dataclasses.replace(model.flow, prediction=prediction)),
            )
            for name, prediction in {"velocity": "velocity", "data": "x"}.items()
        )


def adapter(num_blocks: int) -> TransformerAdapter:
    """Returns the transformer adapter at the size of the baseline."""
    return TransformerAdapter(num_blocks=num_blocks, num_heads=4)


def family(backbone: type[PatchTransformerConfig]) -> PatchTransformerConfig:
    """Returns a backbone of another family with the baseline's values of all options that both have."""
    base = baseline().model.backbone
    names = {field.name for field in dataclasses.fields(backbone)}
    shared = {f.name: getattr(base, f.name) for f in dataclasses.fields(base) if f.name in names}
    return backbone(**shared)


def with_model(recipe: TrainConfig, **changes: Any) -> TrainConfig:
    """Returns the recipe with other parts of its model."""
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, **changes))


def with_backbone(recipe: TrainConfig, **changes: Any) -> TrainConfig:
    """Returns the recipe with other options of its backbone."""
    return with_model(recipe, backbone=dataclasses.replace(recipe.model.backbone, **changes))
