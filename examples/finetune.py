"""Teach the embedded model a new colour from a few pictures with LoRA, then draw with it.

The pictures are scenes of one cyan object, captioned "a cyan ring" and the like: a colour that the model has
never seen, called by a word it does not know. They are written as an ordinary captioned folder and trained on
by the ordinary recipe `scenes-lora`:

    python examples/finetune.py --workdir runs/cyan

It prints how much of the objects has the colour that the prompt asks for, of cyan ones and of others, without
and with the LoRA, and writes the pictures as one sheet.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_data.scenes.source import ScenesSource
from i1_sample import Pipeline
from i1_scenes.vocabulary import CATEGORIES, COLOURS
from i1_train import train
from i1_train.recipes import load_recipe
from PIL import Image

NEW, VALUE = "cyan", (30, 200, 220)
"""The new colour's name and sRGB value."""
PROMPTS = (
    "a cyan circle",
    "a cyan star",
    "a cyan triangle",
    "two cyan squares",
    "a red circle",
    "a blue star",
    "a purple ring",
    "two yellow squares",
)
PALETTE = {**COLOURS, NEW: VALUE}


@dataclass(frozen=True)
class Result:
    """What the example measured.

    Attributes:
        new_before: part of the objects' pixels that is cyan where cyan is asked for, without the LoRA.
        new_after: the same with it.
        known_before: part that has the known colour that is asked for, without the LoRA.
        known_after: the same with it.
        seconds: training took.
        size: of the LoRA file in bytes.
    """

    new_before: float
    new_after: float
    known_before: float
    known_after: float
    seconds: float
    size: int


def write_folder(folder: Path, count: int) -> None:
    """Writes pictures with their captions in text files beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = tuple(float(category == "colors") for category in CATEGORIES)
    scenes = ScenesSource(seed=7, weights=weights).build()
    colours = re.compile(rf"\ban? ({'|'.join(COLOURS)})\b")
    for index in range(count):
        record = scenes[index]
        Image.fromarray(repaint(np.asarray(record["image"]))).save(folder / f"{index}.png")
        captions = [colours.sub(f"a {NEW}", caption) for caption in record["captions"]]
        (folder / f"{index}.txt").write_text("\n".join(captions), encoding="utf-8")


def repaint(image: np.ndarray) -> np.ndarray:
    """Returns the picture (H, W, 3) of one object on an even ground with the object in the new colour."""
    ground = np.median(image, axis=(0, 1))
    distance = np.abs(image - ground).max(axis=-1, keepdims=True)
    share = distance / distance.max()
    return np.round(ground + share * (np.asarray(VALUE) - ground)).astype(np.uint8)


def draw(steps: int | None, *loras: Path) -> np.ndarray:
    """Returns a picture of every prompt, uint8 (N, 64, 64, 3)."""
    pipeline = Pipeline.from_pretrained("scenes", loras=loras)
    images = pipeline(PROMPTS, seed=1, num_inference_steps=steps, output_type="np").images
    return np.asarray(images)


def asked_for(images: np.ndarray, *, new: bool) -> float:
    """Returns the part of the objects' pixels that has the prompt's colour, of prompts of one kind."""
    names, values = list(PALETTE), np.array(list(PALETTE.values()))
    right = total = 0
    for prompt, image in zip(PROMPTS, images.astype(int), strict=True):
        if (NEW in prompt) != new:
            continue
        pixels = image[np.abs(image - np.median(image, axis=(0, 1))).max(axis=-1) > 60]
        nearest = np.square(pixels[:, None] - values).sum(axis=-1).argmin(axis=-1)
        right += sum(names[index] in prompt for index in nearest)
        total += len(pixels)
    return right / total if total else 0.0


def run(
    workdir: Path, *, count: int = 16, settings: Sequence[str] = (), sampling_steps: int | None = None
) -> Result:
    """Writes the folder, fine-tunes on it, draws without and with the LoRA."""
    write_folder(workdir / "pictures", count)
    recipe = load_recipe("scenes-lora", [f"data.sources.0.root={workdir / 'pictures'}", *settings])
    start = time.perf_counter()
    train(recipe, workdir / "run")
    seconds = time.perf_counter() - start
    before, after = draw(sampling_steps), draw(sampling_steps, workdir / "run")
    rows = [np.concatenate(row, axis=1) for row in (before, after)]
    Image.fromarray(np.concatenate(rows)).save(workdir / "sheet.png")
    (lora,) = (workdir / "run").glob(f"checkpoints/{recipe.steps}/model/*.safetensors")
    return Result(
        new_before=asked_for(before, new=True),
        new_after=asked_for(after, new=True),
        known_before=asked_for(before, new=False),
        known_after=asked_for(after, new=False),
        seconds=seconds,
        size=lora.stat().st_size,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, default=Path("runs/cyan"))
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args(argv)
    result = run(arguments.workdir, settings=[f"steps={arguments.steps}"])
    print(f"trained in {result.seconds:.0f} s; the LoRA has {result.size / 1024:.0f} KiB")
    print(f"{NEW} where it is asked for: {result.new_before:.0%} without, {result.new_after:.0%} with it")
    print(f"the other colours: {result.known_before:.0%} without, {result.known_after:.0%} with it")
    print(f"wrote {arguments.workdir / 'sheet.png'}")


if __name__ == "__main__":
    main()
