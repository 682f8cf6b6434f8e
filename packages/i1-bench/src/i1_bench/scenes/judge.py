"""The judge of scenes: a picture is right when it shows everything the prompt states and nothing more."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from i1_hooks import UserError
from i1_scenes import vocabulary as v
from PIL import Image

from i1_bench.judges import JudgeConfig, Verdict, VerdictJudge, check_image
from i1_bench.scenes import letters
from i1_bench.scenes.objects import Measured, measure
from i1_bench.scenes.prompt_set import Scene, Thing, Word
from i1_bench.scenes.regions import MIN_BACKGROUND, Region, background, blended_colour, regions

EDGE = 25.5
"""Centres nearer than this to a side, in pixels, are at that side; training places them at 24 at most."""
MIDDLE = 7.0
"""Centres within this distance of the picture's centre on both axes are in the middle; training: 5."""
MAX_REGIONS = 12
"""More regions than this are not examined one by one: no prompt asks for so many."""


@dataclass(frozen=True, kw_only=True)
class ScenePixels(JudgeConfig):
    """Measures the pixels of scenes; see `score_image`."""

    def build(self) -> VerdictJudge:
        """Returns the judge."""
        return ScenePixelsJudge()


class ScenePixelsJudge(VerdictJudge):
    """`score_image` as a judge."""

    def judge(self, image: np.ndarray, spec: Scene) -> Verdict:
        """Returns `score_image(image, spec)`."""
        return score_image(image, spec)


def score_image(image: np.ndarray, spec: Scene) -> Verdict:
    """Returns whether a picture shows everything the prompt states and no further object.

    Args:
        image: uint8 (height, width, 3), RGB, square; other sizes than 64 are resized to 64 by area.
        spec: what the prompt states.

    Raises:
        UserError: for an array that is not a square picture, or a spec of another benchmark.
    """
    if not isinstance(spec, Scene):
        raise UserError(f"scene_pixels judges scenes, got a {type(spec).__name__}")
    picture = _canonical(check_image(image))
    ground = background(picture)
    seen: dict[str, object] = {"background": [round(float(c)) for c in ground]}
    if ground.min() < MIN_BACKGROUND:
        return _wrong("background not light", seen)
    if spec.word is None:
        found = regions(picture, ground)
    else:
        found = regions(picture, ground, contrast=letters.contrast(picture, ground), level=letters.LEVEL)
    if not found:
        return _wrong("empty picture", seen)
    if len(found) > MAX_REGIONS:
        return _wrong(f"{len(found)} regions", seen)
    if spec.word is not None:
        return _judge_word(found, ground, spec.word, seen)
    measured = [measure(region) for region in found]
    seen["objects"] = [_plain(thing) for thing in measured]
    reason = _objects_reason(measured, spec)
    return Verdict(score=0.0 if reason else 1.0, reason=reason, seen=seen)


def _wrong(reason: str, seen: dict[str, object]) -> Verdict:
    return Verdict(score=0.0, reason=reason, seen=seen)


def _canonical(image: np.ndarray) -> np.ndarray:
    if image.shape[0] != image.shape[1]:
        raise UserError(f"picture of {image.shape[1]}x{image.shape[0]} pixels: scenes are square")
    if image.shape[0] != v.SIZE:
        image = np.asarray(Image.fromarray(image).resize((v.SIZE, v.SIZE), Image.Resampling.BOX))
    return image.astype(np.float32)


def _plain(thing: Measured) -> dict[str, object]:
    return {
        "shape": thing.shape,
        "colour": thing.colour,
        "x": round(thing.x, 1),
        "y": round(thing.y, 1),
        "size": round(thing.size, 1),
        "overlap": round(thing.overlap, 3),
    }


def _judge_word(found: list[Region], ground: np.ndarray, word: Word, seen: dict[str, object]) -> Verdict:
    text, similarity = letters.read(found)
    colours = {blended_colour(region.colour, ground) for region in found}
    colour = next(iter(colours)) if len(colours) == 1 else None
    seen |= {"text": text, "colour": colour, "similarity": round(similarity, 3)}
    reason = ""
    if not letters.one_line(found):
        reason = "not on one line"
    elif text != word.text:
        reason = f"reads {text}"
    elif word.colour is not None and colour != word.colour:
        reason = f"is {colour or 'of no one colour'}"
    return Verdict(score=0.0 if reason else 1.0, reason=reason, seen=seen)


def _objects_reason(measured: list[Measured], scene: Scene) -> str:
    wanted = [thing for thing in scene.things for _ in range(thing.count)]
    if len(measured) != len(wanted):
        return f"{len(measured)} object{'s' * (len(measured) != 1)}, not {len(wanted)}"
    reasons = [
        _pairing_reason([measured[k] for k in order], wanted, scene.relation)
        for order in itertools.permutations(range(len(measured)))
    ]
    return min(reasons)[1]


def _pairing_reason(objects: list[Measured], wanted: list[Thing], relation: str | None) -> tuple[int, str]:
    """Returns how many statements fail when objects stand for things in this order, and the first of them."""
    failures: list[str] = []
    for thing, asked in zip(objects, wanted, strict=True):
        if thing.shape != asked.shape:
            failures += [f"{thing.shape or 'no shape'}, not {asked.shape}"] * 2
        if asked.colour is not None and thing.colour != asked.colour:
            failures.append(f"{thing.colour or 'no colour'} {asked.shape}, not {asked.colour}")
        if asked.place is not None and not _is_at(thing, asked.place):
            failures.append(f"{asked.shape} not {v.PLACES[asked.place]}")
    if relation is not None and not _stands(objects[0], relation, objects[1]):
        failures.append(f"{wanted[0].shape} not {relation} {wanted[1].shape}")
    return len(failures), failures[0] if failures else ""


def _is_at(thing: Measured, place: str) -> bool:
    dx, dy = thing.x - v.SIZE / 2, thing.y - v.SIZE / 2
    if place == "middle":
        return max(abs(dx), abs(dy)) <= MIDDLE
    along, across = {"left": (-dx, dy), "right": (dx, dy), "top": (-dy, dx), "bottom": (dy, dx)}[place]
    return along >= v.SIZE / 2 - EDGE and along > abs(across)


def _stands(first: Measured, relation: str, second: Measured) -> bool:
    dx, dy = second.x - first.x, second.y - first.y
    along, across = {"left of": (dx, dy), "right of": (-dx, dy), "above": (dy, dx), "below": (-dy, dx)}[
        relation
    ]
    return along > abs(across)
