from pathlib import Path

import numpy as np
from i1_hooks import get_registry
from i1_sample.previews import captioned_grid
from PIL import Image


def test_a_saved_checkpoint_leaves_a_captioned_grid(model_folder: Path, tmp_path: Path) -> None:
    hook = get_registry().manager.hook.i1_checkpoint_saved
    hook(workdir=tmp_path, model=model_folder, step=12, prompts=("a star", "a ring", "a blue cross"))
    with Image.open(tmp_path / "samples" / "step_00000012.png") as image:
        assert image.width == 2 * 128 + 3 * 6
    hook(workdir=tmp_path, model=model_folder, step=13, prompts=())
    assert len(list((tmp_path / "samples").iterdir())) == 1


def test_captions_are_below_their_pictures() -> None:
    images = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    grid = np.asarray(captioned_grid(images, ["short", "a caption that is much too long for a single line"]))
    assert (grid[6 : 6 + 128, 6 : 6 + 128] == (255, 0, 0)).all()
    below = grid[6 + 128 :]
    assert (below[:, 6 : 6 + 128] < 100).all(axis=-1).any()
    assert not (below[14:, 6 : 6 + 128] < 100).all(axis=-1).any()
    assert (below[14:, 12 + 128 :] < 100).all(axis=-1).any()
