"""The judge on pictures drawn with the benchmark's own canonical masks."""

import numpy as np
import pytest
from i1_bench.scenes import Scene, ScenePixels, Thing, Word, prompts, score_image
from i1_bench.scenes.drawing import canonical_letter, canonical_shape, draw, draw_right
from i1_bench.scenes.evaluation import scenes_prompts
from i1_bench.testing import JudgeSuite
from i1_hooks import UserError
from i1_scenes import vocabulary as v
from PIL import Image
from scipy import ndimage

GREY = (230, 230, 230)


def one(shape="star", colour="red", size=24, x=32, y=32):
    return canonical_shape(shape), colour, size, x, y


def word(text, colour="red", y=32, pitch=15):
    start = 32 - pitch / 2 * (len(text) - 1)
    return [(canonical_letter(letter), colour, 15, start + pitch * k, y) for k, letter in enumerate(text)]


def picture(*placed, ground=GREY):
    return draw(list(placed), ground)


def degraded(image, rng, sigma, blur):
    blurred = ndimage.gaussian_filter(image.astype(np.float64), (blur, blur, 0))
    noisy = blurred + rng.normal(0, sigma, image.shape) if sigma else blurred
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


RED_ABOVE_BLUE = Scene(
    things=(Thing(shape="circle", colour="red"), Thing(shape="square", colour="blue")), relation="above"
)


class TestScenePixels(JudgeSuite):
    component = ScenePixels()

    def examples(self):
        right = picture(one("circle", "red", 20, 30, 16), one("square", "blue", 22, 33, 46))
        return [
            (right, RED_ABOVE_BLUE, True),
            (right[::-1].copy(), RED_ABOVE_BLUE, False),
            (picture(), RED_ABOVE_BLUE, False),
            (picture(*word("CAT")), Scene(word=Word(text="CAT")), True),
            (picture(*word("CAR")), Scene(word=Word(text="CAT")), False),
        ]


@pytest.mark.parametrize(
    ("sigma", "blur", "least"), [(0, 0, 0.99), (6, 0, 0.97), (0, 0.6, 0.97), (6, 0.6, 0.97)]
)
def test_right_pictures_of_every_category_are_right(sigma, blur, least):
    rng = np.random.default_rng(1)
    asked = scenes_prompts(20, 0)
    verdicts = [score_image(degraded(draw_right(p.spec, rng), rng, sigma, blur), p.spec) for p in asked]
    for category in v.CATEGORIES:
        rights = [verdict.right for p, verdict in zip(asked, verdicts, strict=True) if p.category == category]
        assert np.mean(rights) >= least, category


@pytest.mark.parametrize("shape", v.SHAPES)
@pytest.mark.parametrize("size", [15, 19.5, 34])
def test_every_shape_and_size(shape, size):
    thing = score_image(picture(one(shape, "blue", size, 30.3, 33.6)), Scene(things=(Thing(shape=shape),)))
    (seen,) = thing.seen["objects"]
    assert (seen["shape"], seen["colour"], thing.right) == (shape, "blue", True)
    assert seen["size"] == pytest.approx(size, abs=0.6)
    assert (seen["x"], seen["y"]) == (pytest.approx(30.3, abs=0.4), pytest.approx(33.6, abs=0.4))


@pytest.mark.parametrize("colour", v.COLOURS)
@pytest.mark.parametrize("ground", [(218, 226, 222), (244, 240, 238)])
def test_every_colour_on_every_background(colour, ground):
    for name in v.COLOURS:
        scene = Scene(things=(Thing(shape="star", colour=name),))
        assert score_image(picture(one("star", colour, 22), ground=ground), scene).right == (name == colour)
        scene = Scene(word=Word(text="LIT", colour=name))
        assert score_image(picture(*word("LIT", colour), ground=ground), scene).right == (name == colour)


def several(shape, centres, size=17, colour="green"):
    return [one(shape, colour, size, x, y) for x, y in centres]


CORNERS = [(14, 16), (48, 15), (16, 48), (50, 47)]
ONE_STAR = Scene(things=(Thing(shape="star", colour="red"),))
TWO = Scene(things=(Thing(shape="circle"), Thing(shape="star")))
THREE = Scene(things=(Thing(shape="cross", count=3),))
LEFT = Scene(things=(Thing(shape="ring", place="left"),))
CAT = Scene(word=Word(text="CAT", colour="blue"))
WRONG = {
    "colour": (ONE_STAR, [one("star", "orange")]),
    "shape": (ONE_STAR, [one("circle")]),
    "upside down": (
        Scene(things=(Thing(shape="triangle"),)),
        [(canonical_shape("triangle")[::-1], "red", 24, 32, 32)],
    ),
    "half a shape": (
        Scene(things=(Thing(shape="circle"),)),
        [(canonical_shape("circle") & (np.arange(384) < 192), "red", 30, 32, 32)],
    ),
    "too many": (THREE, several("cross", CORNERS)),
    "too few": (THREE, several("cross", CORNERS[:2])),
    "one of another shape": (THREE, [*several("cross", CORNERS[:2]), one("star", "green", 17, 16, 48)]),
    "extra object": (ONE_STAR, [one(size=20, x=18), one("circle", "blue", 10, 50, 50)]),
    "extra speck": (ONE_STAR, [one(size=20, x=18), one("square", "blue", 4, 50, 50)]),
    "missing object": (TWO, [one("star")]),
    "same shape twice": (TWO, [one("star", x=16), one("star", x=48)]),
    "wrong side": (LEFT, [one("ring", x=48)]),
    "not far enough": (LEFT, [one("ring", x=29)]),
    "corner instead of middle": (
        Scene(things=(Thing(shape="ring", place="middle"),)),
        [one("ring", size=20, x=20, y=20)],
    ),
    "relation reversed": (
        RED_ABOVE_BLUE,
        [one("circle", "red", 20, 32, 48), one("square", "blue", 20, 32, 16)],
    ),
    "relation on the other axis": (
        RED_ABOVE_BLUE,
        [one("circle", "red", 20, 14, 26), one("square", "blue", 20, 48, 38)],
    ),
    "colours swapped": (
        RED_ABOVE_BLUE,
        [one("circle", "blue", 20, 32, 16), one("square", "red", 20, 32, 48)],
    ),
    "empty": (ONE_STAR, []),
    "no word": (CAT, []),
    "letter wrong": (CAT, word("CAR", "blue")),
    "letter missing": (CAT, word("CA", "blue")),
    "letter added": (CAT, word("CATS", "blue")),
    "letters reversed": (CAT, word("TAC", "blue")),
    "word of another colour": (CAT, word("CAT", "purple")),
    "word of two colours": (CAT, [*word("CAT", "blue")[:2], word("CAT", "red")[2]]),
    "letter turned over": (
        CAT,
        [*word("CAT", "blue")[:2], (canonical_letter("T")[::-1], "blue", 15, 47, 32)],
    ),
    "word with an object": (CAT, [*word("CAT", "blue"), one("circle", "red", 10, 32, 56)]),
    "letters not on a line": (CAT, [*word("CA", "blue"), word("CAT", "blue", 52)[2]]),
    "object instead of a word": (CAT, [one("star", "blue")]),
    "word instead of an object": (Scene(things=(Thing(shape="ring"),)), word("OO", "blue")),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize(("sigma", "blur"), [(0, 0), (6, 0.6)])
def test_every_kind_of_wrong_picture_is_wrong(kind, sigma, blur):
    scene, placed = WRONG[kind]
    image = degraded(picture(*placed), np.random.default_rng(0), sigma, blur)
    verdict = score_image(image, scene)
    assert not verdict.right
    assert verdict.reason


@pytest.mark.parametrize(
    ("image", "scene", "reason"),
    [
        (picture(one("star", "blue")), ONE_STAR, "blue star, not red"),
        (picture(one("circle")), ONE_STAR, "circle, not star"),
        (picture(*several("cross", CORNERS)), THREE, "4 objects, not 3"),
        (picture(one("ring", x=48)), LEFT, "ring not on the left"),
        (picture(), ONE_STAR, "empty picture"),
        (picture(*word("CAR", "blue")), CAT, "reads CAR"),
        (picture(*word("CAT", "pink")), CAT, "is pink"),
        (picture(one(), ground=(90, 90, 90)), ONE_STAR, "background not light"),
    ],
)
def test_reasons(image, scene, reason):
    assert score_image(image, scene).reason == reason


def test_a_prompt_is_wrong_for_the_picture_of_another_one():
    rng = np.random.default_rng(3)
    for category in v.CATEGORIES:
        asked = prompts("seen", category, 8, 0)
        for shown in asked:
            image = draw_right(shown.spec, rng)
            for prompt in prompts("unseen", category, 8, 0):
                assert not score_image(image, prompt.spec).right or category in ("single_object",)


def test_touching_objects_of_different_colours_are_two_objects():
    image = picture(one("circle", "red", 20, 32, 21.5), one("square", "blue", 20, 32, 41.5))
    assert score_image(image, RED_ABOVE_BLUE).right
    halves = picture(one("circle", "red"))
    halves[:, 32:] = picture(one("circle", "blue"))[:, 32:]
    assert not score_image(halves, Scene(things=(Thing(shape="circle"),))).right


def test_things_may_be_matched_in_any_order_but_colours_stay_with_their_shapes():
    scene = Scene(things=(Thing(shape="star", colour="red"), Thing(shape="cross", colour="blue")))
    left, right = {"size": 20, "x": 15}, {"size": 20, "x": 48}
    assert score_image(picture(one("star", "red", **left), one("cross", "blue", **right)), scene).right
    assert score_image(picture(one("star", "red", **right), one("cross", "blue", **left)), scene).right
    assert not score_image(picture(one("star", "blue", **right), one("cross", "red", **left)), scene).right


def noise_pictures(rng):
    for k in range(12):
        yield rng.integers(0, 256, (64, 64, 3))
        yield 235 + rng.normal(0, 10 + 10 * k, (64, 64, 3))
        smooth = ndimage.gaussian_filter(rng.normal(0, 1, (64, 64, 3)), (1 + k / 2, 1 + k / 2, 0))
        yield 235 + np.clip(smooth / smooth.std() * 15 * (k + 1), -235, 20)
        dots = np.full((64, 64, 3), 235.0)
        dots[rng.integers(0, 64, 60 * (k + 1)), rng.integers(0, 64, 60 * (k + 1))] = rng.integers(0, 256, 3)
        yield dots


def test_noise_is_wrong_for_every_prompt():
    asked = scenes_prompts(1, 0)
    for image in noise_pictures(np.random.default_rng(0)):
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        for prompt in asked:
            assert not score_image(pixels, prompt.spec).right, prompt.text


def test_larger_pictures_are_reduced():
    image = np.asarray(Image.fromarray(picture(one())).resize((256, 256), Image.Resampling.BICUBIC))
    assert score_image(image, ONE_STAR).right


def test_a_picture_that_is_not_square_or_not_a_scene_is_refused():
    with pytest.raises(UserError, match="square"):
        score_image(np.zeros((64, 32, 3), np.uint8), ONE_STAR)
    with pytest.raises(UserError, match="str"):
        score_image(picture(one()), "a star")
