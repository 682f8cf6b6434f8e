"""PNG files that say how they were made."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
from typing import Any

from i1_hooks import ComponentConfig, get_registry, to_dict
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from i1_sample.job import Job
from i1_sample.pipeline import Pipeline
from i1_sample.prompts import printable

_DISTRIBUTIONS = ("i1-sample", "i1-model", "i1-hooks", "jax", "jaxlib", "flax", "numpy", "pillow")


def describe(pipeline: Pipeline, job: Job, position: int) -> dict[str, Any]:
    """Returns everything that decided one picture, JSON-ready.

    Args:
        pipeline: what made it.
        job: the call.
        position: which of the job's images, counted from 0.
    """
    settings = job.settings
    prompt = position // job.num_images_per_prompt
    return {
        "prompt": job.prompts[prompt],
        "rewritten_prompt": job.rewritten_prompts[prompt],
        "negative_prompt": job.negative_prompts[prompt] if job.negative_prompts else None,
        "seed": job.seed,
        "index": job.first_index + position,
        "width": job.width,
        "height": job.height,
        "num_inference_steps": settings.num_inference_steps,
        "guidance_scale": settings.guidance_scale,
        "solver": _component(settings.solver),
        "time_grid": _component(settings.time_grid),
        "guidance": _component(settings.guidance),
        "strength": None if job.source is None else job.source.strength,
        "preset": job.preset,
        "model": pipeline.name,
        "revision": pipeline.revision,
        "revisions": pipeline.revisions,
        "loras": [str(lora) for lora in pipeline.loras],
        "model_step": pipeline.metadata.get("step"),
        "recipe": pipeline.metadata.get("recipe"),
        "config": to_dict(pipeline.config),
        "plugins": get_registry().installed(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _DISTRIBUTIONS},
        },
    }


def parameters_text(record: dict[str, Any]) -> str:
    """Returns the `parameters` text that many image viewers read: the prompt, then `name: value` pairs."""
    fields = {
        "Steps": record["num_inference_steps"],
        "Sampler": record["solver"]["component"],
        "Schedule type": record["time_grid"]["component"],
        "CFG scale": f"{record['guidance_scale']:g}",
        "Seed": record["seed"],
        "Image index": record["index"],
        "Size": f"{record['width']}x{record['height']}",
        "Model": record["model"],
        **({"Model hash": record["revision"][:10]} if record["revision"] else {}),
        "Version": f"i1-sample {record['versions']['i1-sample']}",
    }
    lines = [record["rewritten_prompt"]]
    if record["negative_prompt"]:
        lines.append(f"Negative prompt: {record['negative_prompt']}")
    lines.append(", ".join(f"{name}: {value}" for name, value in fields.items()))
    return "\n".join(lines)


def png_bytes(image: Image.Image, record: dict[str, Any]) -> bytes:
    """Returns a PNG with the texts `parameters` and `i1`, which is the record as JSON."""
    texts = PngInfo()
    texts.add_text("parameters", printable(parameters_text(record)))
    texts.add_text("i1", json.dumps(record))
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=texts)
    return data.getvalue()


def _component(config: ComponentConfig) -> dict[str, Any]:
    """Returns a component as JSON data; one that no plugin registered is told by its class and repr."""
    known = {found.component.config for found in get_registry().components(config.kind).values()}
    place = f"{type(config).__module__}:{type(config).__qualname__}"
    return to_dict(config) if place in known else {"component": place, "repr": repr(config)}
