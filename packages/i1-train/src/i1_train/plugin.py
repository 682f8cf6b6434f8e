"""The components of i1-train."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 train` and `i1 report`."""
    return [
        Component("train", "i1_train.cli:main", "train a recipe, or resume its run"),
        Component("report", "i1_train.report.cli:main", "the curves and images of a run as one HTML file"),
    ]


@hookimpl
def i1_recipes() -> list[Component]:
    """Offers the recipes of i1, of its controlled experiments, and those that need no download."""
    stages = [
        Component(
            f"i1-{size}b-{resolution}",
            f"i1_train.recipes.i1:i1_{size}b_{resolution}",
            f"i1-{size}B at {resolution} pixels, as published",
        )
        for size in (3, 1)
        for resolution in (256, 512, 1024)
    ]
    baselines = [
        Component(
            f"baseline-{name}",
            f"i1_train.recipes.baselines:{name}",
            f"baseline of the controlled experiments: {what}",
        )
        for name, what in (
            ("cross", "cross-attention to the text"),
            ("single", "one stream of image and text"),
            ("dual", "two streams, joint attention"),
        )
    ]
    return [
        *stages,
        *baselines,
        Component(
            "scenes",
            "i1_train.recipes.scenes:scenes",
            "the embedded model: a small i1, trained on procedural scenes",
        ),
        Component(
            "scenes-words",
            "i1_train.recipes.scenes:scenes_words",
            "the second stage of the embedded model, after `scenes`: words",
        ),
        Component(
            "scenes-objects",
            "i1_train.recipes.scenes:scenes_objects",
            "its third stage, after `scenes-words`: several objects",
        ),
        Component(
            "scenes-tiny",
            "i1_train.recipes.scenes:scenes_tiny",
            "a tiny i1 for tests; a step takes milliseconds",
        ),
        Component(
            "folder",
            "i1_train.recipes.folder:folder",
            "a captioned image folder, at the size of `scenes`",
        ),
        Component(
            "finetune-lora",
            "i1_train.recipes.finetune:lora",
            "LoRA on i1-3B with a captioned image folder, for one GPU of 24 GB",
        ),
        Component(
            "finetune-full",
            "i1_train.recipes.finetune:full",
            "full fine-tuning of i1-3B with a captioned image folder",
        ),
        Component(
            "scenes-lora",
            "i1_train.recipes.finetune:scenes_lora",
            "LoRA on the embedded model, for a first try on a CPU",
        ),
    ]


@hookimpl
def i1_objectives() -> list[Component]:
    """Offers flow matching."""
    return [
        Component("flow_matching", "i1_train.objectives:FlowMatching", "mean squared error of the velocity")
    ]


@hookimpl
def i1_optimizers() -> list[Component]:
    """Offers Adam, Muon and Adafactor."""
    return [
        Component("adam", "i1_train.optimizers.adam:Adam", "Adam with bfloat16 momentum, as published"),
        Component(
            "muon", "i1_train.optimizers.muon:Muon", "orthogonalised momentum for matrices, Adam for the rest"
        ),
        Component(
            "adafactor", "i1_train.optimizers.adafactor:Adafactor", "factored second moments, little memory"
        ),
    ]


@hookimpl
def i1_schedules() -> list[Component]:
    """Offers the learning rate schedules."""
    return [
        Component("constant", "i1_train.schedules:Constant", "a constant learning rate, as published"),
        Component(
            "warmup_cosine", "i1_train.schedules:WarmupCosine", "linear warm-up, then half a cosine down"
        ),
        Component(
            "warmup_stable_decay",
            "i1_train.schedules:WarmupStableDecay",
            "linear warm-up, constant, linear decay",
        ),
        Component("warm_restart", "i1_train.schedules:WarmRestart", "one schedule, then another"),
    ]


@hookimpl
def i1_loggers() -> list[Component]:
    """Offers JSON lines and TensorBoard."""
    return [
        Component("jsonl", "i1_train.loggers.jsonl:Jsonl", "one JSON line per step"),
        Component("tensorboard", "i1_train.loggers.tensorboard:TensorBoard", "event files for TensorBoard"),
    ]
