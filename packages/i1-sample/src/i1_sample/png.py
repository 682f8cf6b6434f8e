"""PNG files that say how they were made."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
from pathlib import Path
from typing import Any

from i1_hooks import ComponentConfig, UserError, get_registry, to_dict
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from i1_sample.job import Job
from i1_sample.pipeline import Pipeline

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
        "seed": job.seed,
        "index": job.first_index + position,
        "width": job.width,
        "height": job.height,
        "num_inference_steps": settings.num_inference_steps,
        "guidance_scale": settings.guidance_scale,
        "solver": _component(settings.solver),
        "time_grid": _component(settings.time_grid),
        "guidance": _component(settings.guidance),
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
    return f"{record['rewritten_prompt']}\n" + ", ".join(f"{name}: {value}" for name, value in fields.items())


def save_png(path: Path, image: Image.Image, record: dict[str, Any]) -> None:
    """Writes a PNG with the texts `parameters` and `i1` (the record as JSON); whole or not at all.

    Raises:
        UserError: when the file cannot be written.
    """
    texts = PngInfo()
    texts.add_text("parameters", parameters_text(record))
    texts.add_text("i1", json.dumps(record))
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=texts)
    write_bytes(path, data.getvalue())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file through a temporary neighbour, making its folder.

    Raises:
        UserError: when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another output") from error
    finally:
        if temporary.exists():
            temporary.unlink()


def _component(config: ComponentConfig) -> dict[str, Any]:
    """Returns a component as JSON data; one that no plugin registered is told by its class and repr."""
    known = {found.component.config for found in get_registry().components(config.kind).values()}
    place = f"{type(config).__module__}:{type(config).__qualname__}"
    return to_dict(config) if place in known else {"component": place, "repr": repr(config)}
