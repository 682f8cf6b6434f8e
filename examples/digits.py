"""Train i1 in very small on 1,797 real handwritten digits, then draw digits and let a classifier read them.

The digits come with scikit-learn (UCI "Optical Recognition of Handwritten Digits", 8x8 grey values). They are
written out as an ordinary captioned image folder, read back through the ordinary source `image_folder`, and
trained with the ordinary loop, all on two CPU cores in minutes:

    python examples/digits.py --workdir runs/digits

It prints how well a classifier fitted on real digits reads held-out real ones and 200 drawn ones, and writes
the drawn ones as a contact sheet.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_data.config import DataConfig
from i1_data.images import prepare
from i1_data.sources.image_folder import ImageFolderSource
from i1_model.adapters.transformer import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones.dual_stream import DualStream
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders.hash import HashEncoder
from i1_sample import Pipeline
from i1_train import Average, Checkpointing, SamplingDefaults, TrainConfig, train
from i1_train.optimizers.adam import Adam
from i1_train.schedules import WarmupCosine
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

RESOLUTION = 16
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def captions(digit: int) -> list[str]:
    """Returns what a picture of the digit may be called; one is drawn on every visit."""
    word = WORDS[digit]
    return [f"a handwritten {word}", f"a handwritten {digit}", f"the digit {word}", f"the digit {digit}"]


def write_folder(folder: Path) -> None:
    """Writes the digits as PNG files, one folder per digit, with their captions in a `metadata.jsonl`."""
    values, labels = load_digits(return_X_y=True)
    rows = []
    for index, (pixels, digit) in enumerate(zip(np.reshape(values, (-1, 8, 8)), labels, strict=True)):
        picture = Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8))
        name = f"{digit}/{index:04d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.resize((RESOLUTION, RESOLUTION), Image.Resampling.BICUBIC).save(folder / name)
        rows.append({"file_name": name, "captions": captions(int(digit))})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def digits_recipe(folder: Path, steps: int) -> TrainConfig:
    """Returns the i1 architecture in very small, for a captioned folder of 16x16 pictures."""
    return TrainConfig(
        recipe="digits",
        model=ModelConfig(
            backbone=DualStream(hidden_width=96, num_heads=4, depth=5, patch_size=2, layers="scan"),
            adapter=TransformerAdapter(num_blocks=1, num_heads=4),
            text_encoders=(HashEncoder(num_tokens=4, width=64),),
            autoencoder=PatchAutoencoder(factor=2),
            flow=RectifiedFlow(prediction="x"),
            resolution=RESOLUTION,
        ),
        data=DataConfig(sources=(ImageFolderSource(root=str(folder)),), resolution=RESOLUTION),
        optimizer=Adam(),
        schedule=WarmupCosine(lr=2e-3, warmup=min(100, steps // 2), final_lr=1e-5),
        batch_size=32,
        steps=steps,
        average=Average(decay=0.998, warmup=True),
        checkpoints=Checkpointing(every=1000, keep=1),
        log_every=100,
        preview_prompts=("a handwritten seven", "the digit 3"),
        sampling=SamplingDefaults(
            num_inference_steps=50,
            guidance_scale=2.0,
            time_grid={"component": "shifted", "shift": 1.0},
            guidance={"component": "cfg", "rescale": 0.0},
        ),
    )


def features(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Returns what the classifier sees: grey values in [0, 1], one row per picture."""
    return np.stack([picture.mean(axis=-1).ravel() / 255 for picture in pictures])


def fit_classifier(folder: Path) -> tuple[SVC, float]:
    """Fits a support vector machine on three quarters of the real digits.

    Returns:
        The classifier, and its accuracy on the last quarter.
    """
    source = ImageFolderSource(root=str(folder)).build()
    records = [source[index] for index in range(len(source))]
    pictures = features([prepare(record["image"], RESOLUTION, name=record["key"]) for record in records])
    labels = np.array([int(record["key"].partition("/")[0]) for record in records])
    seen, held_out, seen_labels, held_out_labels = train_test_split(
        pictures, labels, test_size=0.25, random_state=0, stratify=labels
    )
    classifier = SVC().fit(seen, seen_labels)
    return classifier, float(classifier.score(held_out, held_out_labels))


def contact_sheet(pictures: np.ndarray, per_row: int, *, scale: int = 3, gap: int = 2) -> Image.Image:
    """Returns pictures (N, H, W, 3) side by side, row after row, enlarged, with gaps of so many pixels."""
    spaced = np.pad(pictures, ((0, 0), (0, gap), (0, gap), (0, 0)))
    rows, (height, width) = len(pictures) // per_row, spaced.shape[1:3]
    sheet = spaced.reshape(rows, per_row, height, width, 3).transpose(0, 2, 1, 3, 4)
    image = Image.fromarray(sheet.reshape(rows * height, per_row * width, 3))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the example measures.

    Attributes:
        held_out_accuracy: of the classifier on real digits it was not fitted on.
        drawn_accuracy: share of drawn digits that the classifier reads as the digit asked for.
        sheet: the drawn digits, a row for each.
    """

    held_out_accuracy: float
    drawn_accuracy: float
    sheet: Path


def run(workdir: Path, *, steps: int, per_digit: int, sampling_steps: int | None = None) -> Result:
    """Writes the folder, trains, draws, reads.

    Args:
        workdir: gets `images/` and `run/`, where training goes on if it was interrupted, and `digits.png`.
        steps: length of the training.
        per_digit: how many of each digit to draw.
        sampling_steps: steps per picture; by default the recipe's.
    """
    folder = workdir / "images"
    write_folder(folder)
    classifier, held_out_accuracy = fit_classifier(folder)
    start = time.monotonic()
    train(digits_recipe(folder, steps), workdir / "run")
    print(f"training took {time.monotonic() - start:.0f} s")
    pipeline = Pipeline.from_pretrained(workdir / "run")
    asked = np.repeat(np.arange(10), per_digit)
    prompts = [captions(int(digit))[number % 4] for number, digit in enumerate(asked)]
    pictures = pipeline(
        prompts,
        seed=0,
        batch_size=min(50, len(prompts)),
        num_inference_steps=sampling_steps,
        output_type="np",
    ).images
    assert isinstance(pictures, np.ndarray)
    drawn_accuracy = float(np.mean(classifier.predict(features(list(pictures))) == asked))
    sheet = workdir / "digits.png"
    contact_sheet(pictures, per_digit).save(sheet)
    return Result(held_out_accuracy=held_out_accuracy, drawn_accuracy=drawn_accuracy, sheet=sheet)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example and prints its numbers; returns 0 when both reach their bars."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--workdir", type=Path, default=Path("runs/digits"), help="where everything is written"
    )
    parser.add_argument("--steps", type=int, default=2000, help="training steps")
    parser.add_argument("--per-digit", type=int, default=20, help="how many of each digit to draw")
    arguments = parser.parse_args(argv)
    result = run(arguments.workdir, steps=arguments.steps, per_digit=arguments.per_digit)
    print(f"classifier on held-out real digits: {result.held_out_accuracy:.3f} (at least 0.95)")
    print(f"classifier on drawn digits:         {result.drawn_accuracy:.3f} (at least 0.85)")
    print(f"contact sheet: {result.sheet}")
    return 0 if result.held_out_accuracy >= 0.95 and result.drawn_accuracy >= 0.85 else 1


if __name__ == "__main__":
    raise SystemExit(main())
