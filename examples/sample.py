"""Make pictures from Python: one call, then the same one step by step.

    python examples/sample.py "a red circle above a blue square" --output picture.png

It writes the picture and, beside it, a strip that shows how the picture came out of noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from i1_sample import Pipeline
from PIL import Image


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("picture.png"))
    arguments = parser.parse_args(argv)

    pipeline = Pipeline.from_pretrained(arguments.model)
    output = pipeline(arguments.prompt, seed=arguments.seed)
    Image.fromarray(np.asarray(output.images[0])).save(arguments.output)

    num_steps = output.job.settings.num_inference_steps
    shown = {round(share * num_steps) for share in (0.25, 0.5, 0.75, 1.0)}
    frames = [
        event.images()[0]
        for event in pipeline.stream(arguments.prompt, seed=arguments.seed)
        if event.step in shown
    ]
    strip = arguments.output.with_name(f"{arguments.output.stem}-steps.png")
    Image.fromarray(np.concatenate(frames, axis=1)).save(strip)
    print(f"wrote {arguments.output} and {strip}")


if __name__ == "__main__":
    main()
