"""Draws pictures of several prompts, each with its prompt below, as one PNG.

python docs/gallery.py --output docs/images/scenes.png
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

import numpy as np
from i1_sample import Pipeline
from PIL import Image, ImageDraw, ImageFont

PROMPTS = (
    "a red circle above a blue square",
    "three yellow stars",
    "a green triangle and a black cross",
    "a purple square",
    'the word "CAT" in purple',
    "two orange circles",
    "a blue star right of a red triangle",
    "a pink ring on the left",
    'a sign with the word "OPEN" in green',
)
EDGE, GAP, TEXT, COLUMNS = 128, 6, 30, 3


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the gallery."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="gallery.png")
    arguments = parser.parse_args(argv)

    images = Pipeline.from_pretrained(arguments.model)(list(PROMPTS), seed=arguments.seed).images
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new(
        "RGB", (GAP + COLUMNS * (EDGE + GAP), GAP + rows * (EDGE + TEXT + GAP)), (255, 255, 255)
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    for index, (prompt, image) in enumerate(zip(PROMPTS, images, strict=True)):
        row, column = divmod(index, COLUMNS)
        x, y = GAP + column * (EDGE + GAP), GAP + row * (EDGE + TEXT + GAP)
        picture = Image.fromarray(np.asarray(image)).resize((EDGE, EDGE), Image.Resampling.NEAREST)
        sheet.paste(picture, (x, y))
        draw.text((x, y + EDGE + 2), "\n".join(textwrap.wrap(prompt, 23)), fill=(40, 40, 40), font=font)
    sheet.save(arguments.output)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
