"""Image to image and inpainting."""

from pathlib import Path

import numpy as np
import pytest
from i1_hooks import UserError
from i1_sample import Pipeline
from i1_sample.source_image import prepare_source
from PIL import Image


@pytest.fixture
def picture() -> Image.Image:
    random = np.random.default_rng(0)
    return Image.fromarray(random.integers(0, 256, (16, 24, 3), np.uint8))


def pixels(pipeline: Pipeline, **options) -> np.ndarray:
    return np.asarray(pipeline("a star", seed=1, output_type="np", **options).images)[0].astype(int)


def test_strength_says_how_many_steps_are_made(pipeline: Pipeline, picture: Image.Image) -> None:
    events = list(pipeline.run(pipeline.plan("a star", image=picture, strength=0.5, num_inference_steps=4)))
    assert [(event.step, event.num_inference_steps) for event in events] == [(1, 2), (2, 2)]
    assert events[-1].is_last
    assert events[-1].images().shape == (1, 16, 24, 3)
    whole = pixels(pipeline, image=picture, strength=1.0)
    np.testing.assert_array_equal(whole, pixels(pipeline, height=16, width=24))


def test_a_weak_change_stays_near_the_picture(pipeline: Pipeline, picture: Image.Image) -> None:
    steps = {"num_inference_steps": 50, "time_grid": "uniform"}
    near = np.abs(pixels(pipeline, image=picture, strength=0.02, **steps) - np.asarray(picture)).mean()
    far = np.abs(pixels(pipeline, image=picture, strength=0.9, **steps) - np.asarray(picture)).mean()
    assert near < 0.3 * far


def test_what_the_mask_leaves_out_stays(pipeline: Pipeline, picture: Image.Image) -> None:
    mask = np.zeros((16, 24), np.uint8)
    mask[:, 12:] = 255
    changed = pixels(pipeline, image=picture, mask_image=mask, strength=1.0)
    difference = np.abs(changed - np.asarray(picture))
    assert difference[:, :12].max() <= 1
    assert difference[:, 12:].mean() > 10


def test_sizes(picture: Image.Image) -> None:
    sizes = {"unit": 8, "factor": 4}
    assert prepare_source(picture, None, None, (None, None), **sizes).pixels.shape == (16, 24, 3)
    assert prepare_source(picture, None, None, (8, 16), **sizes).pixels.shape == (8, 16, 3)
    mask = np.zeros((16, 24), np.uint8)
    mask[5, 9] = 255
    repaint = prepare_source(picture, mask, None, (None, None), **sizes).repaint
    assert np.argwhere(repaint).tolist() == [[1, 2]]


def test_what_does_not_fit_is_refused(pipeline: Pipeline, picture: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"no image")
    for options, message in (
        ({"mask_image": picture}, "mask_image does not apply without an image to change"),
        ({"strength": 0.5}, "strength does not apply without an image to change"),
        ({"image": picture, "strength": 0.0}, "strength must be a finite number from 0.0001 to 1, got 0.0"),
        ({"image": picture.resize((24, 15))}, "image is 24x15, and the sides of pictures are multiples of 8"),
        ({"image": picture, "mask_image": picture.resize((8, 8))}, "mask_image is 8x8 and image 24x16"),
        ({"image": picture, "mask_image": Image.new("L", (24, 16))}, "mask_image is black everywhere"),
        ({"image": tmp_path / "absent.png"}, "image: no file .*absent.png"),
        ({"image": tmp_path / "damaged.png"}, "cannot read .*damaged.png as an image: cannot identify"),
        ({"image": np.zeros((8, 8, 3))}, r"image is float64 \(8, 8, 3\); expected uint8"),
    ):
        with pytest.raises(UserError, match=message):
            pipeline.plan("a star", **options)
