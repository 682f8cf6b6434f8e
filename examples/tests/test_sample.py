import runpy
from pathlib import Path

import numpy as np
from i1_sample.testing.models import write_tiny_model
from PIL import Image

EXAMPLE = Path(__file__).parents[1] / "sample.py"


def test_writes_the_picture_and_how_it_came(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    example = runpy.run_path(str(EXAMPLE))
    example["main"](["a star", "--model", str(model), "--output", str(tmp_path / "picture.png")])
    with Image.open(tmp_path / "picture.png") as picture, Image.open(tmp_path / "picture-steps.png") as strip:
        assert picture.size == (16, 16)
        assert strip.size == (3 * 16, 16)
        np.testing.assert_array_equal(np.asarray(strip)[:, -16:], np.asarray(picture))
