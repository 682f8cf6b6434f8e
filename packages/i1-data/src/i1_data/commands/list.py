"""`i1 data list`: the sets that i1 was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from i1_hooks import CommandParser


@dataclass(frozen=True)
class ReleasedSet:
    """One of the sets of the published recipe.

    Attributes:
        name: of the set.
        images: in the size-weighted baseline.
        captions: for each image; 0 where none is published.
        resolutions: of the stages that used it.
    """

    name: str
    images: int
    captions: int
    resolutions: tuple[int, ...]


RELEASED_SETS = (
    ReleasedSet("YFCC", 98_121_424, 2, (256,)),
    ReleasedSet("ImageNet-22K", 13_673_551, 9, (256, 512)),
    ReleasedSet("RenderedText", 11_977_824, 5, (256, 512)),
    ReleasedSet("Megalith", 9_393_971, 1, (256, 512)),
    ReleasedSet("Places", 8_026_628, 1, (256, 512)),
    ReleasedSet("FLUX-Reason", 5_890_279, 5, (256, 512, 1024)),
    ReleasedSet("TextAtlas", 5_397_762, 5, (256, 512, 1024)),
    ReleasedSet("RedCaps", 4_817_431, 5, (256, 512, 1024)),
    ReleasedSet("iNaturalist", 4_813_543, 1, ()),
    ReleasedSet("Pexels", 2_810_634, 0, (256, 512)),
    ReleasedSet("GPT-Edit", 1_553_575, 5, (256, 512, 1024)),
    ReleasedSet("Midjourney v6", 1_240_185, 5, (256, 512, 1024)),
)
"""Source: arXiv 2606.11289, section 3, and the released captions' card."""


def main(argv: Sequence[str]) -> int:
    """Runs `i1 data list`; returns 0."""
    CommandParser(
        prog="i1 data list", description="Print the sets that i1 was trained on: images, captions, stages."
    ).parse_args(argv)
    print(f"{'set':14} {'images':>12} {'captions':>9}  stages")
    for released in RELEASED_SETS:
        stages = ", ".join(map(str, released.resolutions)) or "none (compared alone)"
        captions = released.captions or "-"
        print(f"{released.name:14} {released.images:12,} {captions:>9}  {stages}")
    return 0
