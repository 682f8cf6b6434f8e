"""Teach the embedded model a new word from a few pictures with LoRA, then draw with it.

The pictures are scenes on a dark ground, captioned "... at night": a word that the model has never seen. They
are written as an ordinary captioned folder and trained on by the ordinary recipe `scenes-lora`:

    python examples/finetune.py --workdir runs/night

It prints how bright the ground of new pictures is and how much of them is objects, without and with the LoRA,
and writes both as one sheet.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_data.scenes.source import ScenesSource
from i1_sample import Pipeline
from i1_train import train
from i1_train.recipes import load_recipe
from PIL import Image

PROMPTS = ("a red circle at night", "two blue squares at night", "a yellow star at night")
NIGHT = (18, 22, 44)


@dataclass(frozen=True)
class Result:
    """What the example measured.

    Attributes:
        before: mean brightness of the ground without the LoRA, 0 to 255.
        after: the same with it.
        objects_before: part of the pixels that differs from the ground, without the LoRA.
        objects_after: the same with it.
        seconds: training took.
        size: of the LoRA file in bytes.
    """

    before: float
    after: float
    objects_before: float
    objects_after: float
    seconds: float
    size: int


def write_folder(folder: Path, count: int) -> None:
    """Writes pictures with their captions in text files beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = ScenesSource(seed=7).build()
    for index in range(count):
        record = scenes[index]
        pixels = np.array(record["image"])
        is_ground = np.abs(pixels.astype(int) - pixels[0, 0]).max(axis=-1) < 12
        pixels[is_ground] = NIGHT
        Image.fromarray(pixels).save(folder / f"{index}.png")
        captions = [f"{caption} at night" for caption in record["captions"]]
        (folder / f"{index}.txt").write_text("\n".join(captions), encoding="utf-8")


def draw(steps: int | None, *loras: Path) -> np.ndarray:
    """Returns a picture of every prompt, uint8 (N, 64, 64, 3)."""
    pipeline = Pipeline.from_pretrained("scenes", loras=loras)
    images = pipeline(PROMPTS, seed=1, num_inference_steps=steps, output_type="np").images
    return np.asarray(images)


def ground(images: np.ndarray) -> float:
    """Returns the mean brightness of the outermost pixels."""
    edges = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    return float(np.mean([edge.mean() for edge in edges]))


def objects(images: np.ndarray) -> float:
    """Returns the part of the pixels that is far from the picture's median colour."""
    grounds = np.median(images.astype(int), axis=(1, 2), keepdims=True)
    return float((np.abs(images - grounds).max(axis=-1) > 60).mean())


def run(
    workdir: Path, *, count: int = 16, settings: Sequence[str] = (), sampling_steps: int | None = None
) -> Result:
    """Writes the folder, fine-tunes on it, draws without and with the LoRA."""
    write_folder(workdir / "pictures", count)
    recipe = load_recipe("scenes-lora", [f"data.sources.0.root={workdir / 'pictures'}", *settings])
    start = time.perf_counter()
    train(recipe, workdir / "run")
    seconds = time.perf_counter() - start
    pictures = [draw(sampling_steps), draw(sampling_steps, workdir / "run")]
    Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in pictures])).save(
        workdir / "sheet.png"
    )
    (lora,) = (workdir / "run").glob(f"checkpoints/{recipe.steps}/model/*.safetensors")
    measures = [measure(images) for measure in (ground, objects) for images in pictures]
    return Result(*measures, seconds, lora.stat().st_size)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, default=Path("runs/night"))
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args(argv)
    result = run(arguments.workdir, settings=[f"steps={arguments.steps}"])
    print(f"trained in {result.seconds:.0f} s; the LoRA has {result.size / 1024:.0f} KiB")
    print(f"brightness of the ground: {result.before:.0f} without, {result.after:.0f} with it")
    print(f"pixels of objects: {result.objects_before:.1%} without, {result.objects_after:.1%} with it")
    print(f"wrote {arguments.workdir / 'sheet.png'}")


if __name__ == "__main__":
    main()
