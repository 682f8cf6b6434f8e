import numpy as np
import pytest
from i1_hooks import UserError
from i1_train.recipes import load_recipe
from PIL import Image
from small_runs import assert_same_run, metrics

BUCKETS = "[[64,64],[96,48],[48,96]]"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index, size in enumerate([(64, 64), (120, 50), (40, 100), (80, 80), (97, 50), (49, 101), (64, 60)]):
        Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(folder / f"{index}.png")
        (folder / f"{index}.txt").write_text("a picture\n")
    return folder


def settings(pictures, *more):
    return (
        f'data.sources.0={{"component": "image_folder", "root": "{pictures}"}}',
        f"data.buckets={BUCKETS}",
        "model.null_caption_prob=0.5",
        "batch_size=2",
        "checkpoints.every=4",
        "steps=6",
        *more,
    )


def bucket_recipe(pictures, *more):
    return load_recipe("scenes-tiny", ['loggers=["jsonl"]', "preview_prompts=[]", *settings(pictures, *more)])


def test_a_run_over_buckets_goes_on_exactly(pictures, tmp_path):
    from i1_train.loop import train

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(bucket_recipe(pictures), whole)
    train(bucket_recipe(pictures, "steps=3"), parts)
    train(bucket_recipe(pictures), parts)
    assert_same_run(whole, parts, 6)
    assert all(np.isfinite(row["loss"]) for row in metrics(whole))


def test_a_bucket_that_the_patches_do_not_divide_is_named(pictures):
    config = bucket_recipe(pictures, "model.autoencoder.factor=16")
    with pytest.raises(UserError, match="96x48 is not made of the model's patches of 32 pixels"):
        config.check()
