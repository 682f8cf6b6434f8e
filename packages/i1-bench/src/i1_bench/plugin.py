"""The components of i1-bench."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_judges() -> list[Component]:
    """Offers the judges of this package."""
    return [
        Component(
            "scene_pixels",
            "i1_bench.scenes.judge:ScenePixels",
            "measures shapes, colours, places and letters of a scene",
        ),
        Component(
            "openai_vlm",
            "i1_bench.engines.openai_vlm:OpenAiVlm",
            "a vision-language model behind an OpenAI-compatible endpoint",
        ),
        Component(
            "vlm_yes_no",
            "i1_bench.engines.openai_vlm:VlmYesNo",
            "yes or no from such a model; a variant of DPG-Bench's judge",
        ),
        Component(
            "rapid_ocr",
            "i1_bench.engines.rapid_ocr:RapidOcr",
            "reads text offline on the CPU; a variant of CVTG-2K's judge",
        ),
        Component(
            "mask2former_clip",
            "i1_bench.engines.mask2former:Mask2FormerClip",
            "finds objects and colours with torch; a variant of GenEval's judge",
        ),
        Component(
            "clip_score", "i1_bench.engines.clip:ClipScore", "CLIPScore of picture and text with torch"
        ),
        Component("external", "i1_bench.engines.external:External", "a program that speaks JSON lines"),
        Component("recorded", "i1_bench.engines.recorded:Recorded", "answers given on another machine"),
    ]


@hookimpl
def i1_benchmarks() -> list[Component]:
    """Offers the benchmarks of this package."""
    return [
        Component(
            "scenes",
            "i1_bench.scenes.benchmark:ScenesConfig",
            "flat shapes and short words, in seen and unseen combinations",
        ),
        Component(
            "geneval", "i1_bench.geneval.benchmark:GenEvalConfig", "objects, counts, colours and positions"
        ),
        Component("dpg", "i1_bench.dpg.benchmark:DpgConfig", "dense prompts, a graph of questions on each"),
        Component(
            "prism", "i1_bench.prism.benchmark:PrismConfig", "alignment and aesthetics on seven tracks"
        ),
        Component("cvtg-2k", "i1_bench.cvtg.benchmark:CvtgConfig", "several short texts in one picture"),
        Component(
            "longtext", "i1_bench.longtext.benchmark:LongTextConfig", "long written texts in one picture"
        ),
    ]


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 bench`."""
    return [Component("bench", "i1_bench.cli:main", "make, judge and score the pictures of benchmarks")]
