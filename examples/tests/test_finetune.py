import runpy
from pathlib import Path

import numpy as np
from i1_data.sources.image_folder import ImageFolderSource
from PIL import Image

EXAMPLE = Path(__file__).parents[1] / "finetune.py"


def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLE))
    settings = ["steps=2", "batch_size=2", "model.backbone.layers=scan", "lora.rank=2", "data.num_threads=0"]
    result = example["run"](tmp_path, count=3, settings=settings, sampling_steps=2)
    records = ImageFolderSource(root=str(tmp_path / "pictures")).build()
    assert len(records) == 3
    assert all("a cyan " in caption for record in records for caption in record["captions"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * 64, 2 * 64)
        pixels = np.asarray(sheet)
    assert (pixels[:64] != pixels[64:]).any()
    assert result.size < 250_000


def test_an_object_is_repainted_and_its_ground_stays() -> None:
    example = runpy.run_path(str(EXAMPLE))
    image = np.full((8, 8, 3), 240, np.uint8)
    image[2:4, 2:4] = 30, 30, 30
    image[4, 2:4] = 135, 135, 135
    repainted = example["repaint"](image)
    assert (repainted[2:4, 2:4] == example["VALUE"]).all()
    assert (repainted[4, 2] == [135, 220, 230]).all()
    assert (repainted[image == 240] == 240).all()


def test_colours_that_prompts_ask_for_are_counted() -> None:
    example = runpy.run_path(str(EXAMPLE))
    images = np.full((len(example["PROMPTS"]), 8, 8, 3), 240, np.uint8)
    images[0, :2, :2] = example["VALUE"]
    images[1, :2, :6] = 220, 40, 40
    images[4, :2, :2] = 220, 40, 40
    assert example["asked_for"](images, new=True) == 0.25
    assert example["asked_for"](images, new=False) == 1.0
    assert example["asked_for"](np.full_like(images, 240), new=True) == 0.0
