"""i1-data draws the scenes that i1-bench asks for and recognises."""

from random import Random

import numpy as np
import pytest
from i1_bench.scenes import Scene, Thing, Word, prompts, score_image
from i1_data.scenes import captions, layout, render
from i1_scenes.vocabulary import CATEGORIES, SPLITS, WORDS
from scipy import ndimage


def stated(scene):
    """Returns everything that a caption of a training scene could state."""
    if scene.word:
        return Scene(word=Word(text=scene.word, colour=scene.word_colour))
    if scene.category == "counting":
        thing = scene.objects[0]
        return Scene(things=(Thing(shape=thing.shape, colour=thing.colour, count=len(scene.objects)),))
    things = tuple(Thing(shape=t.shape, colour=t.colour, place=scene.place or None) for t in scene.objects)
    return Scene(things=things, relation=scene.relation or None)


def degraded(image, rng, sigma, blur):
    blurred = ndimage.gaussian_filter(image.astype(np.float64), (blur, blur, 0))
    return np.clip(np.rint(blurred + sigma * rng.normal(size=image.shape)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("sigma", "blur", "least"), [(0, 0, 0.99), (6, 0, 0.97), (6, 0.6, 0.97)])
@pytest.mark.parametrize("category", CATEGORIES)
def test_the_judge_finds_training_pictures_right(category, sigma, blur, least):
    rng = np.random.default_rng(0)
    scenes = [layout.draw_scene(category, Random(f"{category}{k}")) for k in range(40)]
    rights = [score_image(degraded(render.render(s), rng, sigma, blur), stated(s)).right for s in scenes]
    assert np.mean(rights) >= least


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_training_picture_shows_what_is_scored_as_unseen(category):
    unseen = {prompt.text: prompt.spec for prompt in prompts("unseen", category, 8, 0)}
    for source in CATEGORIES:
        for k in range(16 if source == category else 3):
            picture = render.render(layout.draw_scene(source, Random(f"unseen{source}{k}")))
            for text, spec in unseen.items():
                assert not score_image(picture, spec).right, f"{source} {k} shows {text}"


@pytest.mark.parametrize("category", CATEGORIES)
def test_prompts_are_worded_like_captions(category):
    words = set()
    for k in range(1500):
        scene = layout.draw_scene(category, Random(k))
        words |= set(captions.describe(scene, Random(k)).split())
    for split in SPLITS:
        for prompt in prompts(split, category, 150, 0):
            if category != WORDS:
                assert set(prompt.text.split()) <= words, prompt.text
