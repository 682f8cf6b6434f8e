"""Small prompt files in the published formats, and pictures for them."""

import csv
import json

import numpy as np
from i1_bench.dpg.questions import COLUMNS
from i1_bench.prism.scoring import TRACKS
from PIL import Image, ImageDraw, ImageFont

GENEVAL = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {
        "tag": "two_object",
        "include": [{"class": "cat", "count": 1}, {"class": "dog", "count": 1}],
        "prompt": "a photo of a cat and a dog",
    },
    {
        "tag": "counting",
        "include": [{"class": "cup", "count": 2}],
        "exclude": [{"class": "cup", "count": 3}],
        "prompt": "a photo of two cups",
    },
    {
        "tag": "colors",
        "include": [{"class": "car", "count": 1, "color": "red"}],
        "prompt": "a photo of a red car",
    },
    {
        "tag": "position",
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]}],
        "prompt": "a photo of a cat left of a dog",
    },
    {
        "tag": "color_attr",
        "include": [
            {"class": "cup", "count": 1, "color": "red"},
            {"class": "car", "count": 1, "color": "blue"},
        ],
        "prompt": "a photo of a red cup and a blue car",
    },
]
DPG = [["first1", "a long text about a boat"], ["second2", "a long text about a street"]]
LONGTEXT = [
    {"category": "sign", "length": "short", "prompt": "a sign", "text": ["Open until late"], "prompt_id": 0},
    {
        "category": "poster",
        "length": "long",
        "prompt": "a poster",
        "text": ["Music in the park", "Saturday at noon"],
        "prompt_id": 7,
    },
]
CVTG = {
    "CVTG/2": ["a door that says 'Open Now' and a bin that says 'Paper'"],
    "CVTG/3": ["a stage with 'Live' and 'Music' and 'Tonight'"],
    "CVTG/4": [],
    "CVTG/5": [],
    "CVTG-Style/2": ["a shop with 'Fresh Bread' and 'Hot Soup'"],
    "CVTG-Style/3": [],
    "CVTG-Style/4": [],
    "CVTG-Style/5": [],
}


def write_prompts(folder):
    """Writes a folder of prompt files for all five benchmarks; returns it."""

    def lines(name, rows):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def value(name, content):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    lines("geneval/evaluation_metadata.jsonl", GENEVAL)
    value("dpg_bench/dpg_bench.json", DPG)
    write_questions(folder / "dpg_bench" / "dpg_bench.csv")
    lines("longtext/text_prompts.jsonl", LONGTEXT)
    for subset, prompts in CVTG.items():
        rows = [{"index": 10 * k, "prompt": prompt} for k, prompt in enumerate(prompts)]
        value(f"cvtg-2k/prompts/{subset}.json", {"data_list": rows})
    for track in TRACKS:
        lines(f"prism-bench/captions/en/{track}.jsonl", [{"prompt": f"{track} {k}"} for k in range(2)])
    alignment = {track: f"How well on {track}? {{{{json}}}} text prompt: {{text_prompt}}" for track in TRACKS}
    value("prism-bench/judge_templates.json", {"alignment": alignment, "aesthetic": "Nice? {text_prompt}"})
    return folder


def write_questions(path):
    """Writes a question file in the real columns, whose first row belongs to no item."""
    rows = [["none", "", "", 1, "0", "entity", "whole", "entity - whole (x)", "Dropped?"]]
    for item, text in DPG:
        rows += [
            [item, text, "", 1, "0", "entity", "whole", "entity - whole (boat)", f"Is 1 in {item}?"],
            [item, text, "", 2, "1", "attribute", "color", "attribute - color (red)", f"Is 2 in {item}?"],
        ]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def write_text(lines, *, size=512, font=56, turn=0.0, ground="white", ink="black"):
    """Returns a picture with lines of text, uint8 (size, size, 3)."""
    picture = Image.new("RGB", (size, size), ground)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        place = (size // 12, size // 8 + int(1.9 * font * number))
        draw.text(place, line, fill=ink, font=ImageFont.load_default(size=font))
    if turn:
        picture = picture.rotate(turn, resample=Image.Resampling.BICUBIC, fillcolor=ground)
    return np.asarray(picture)


def save(root, path, pixels):
    """Writes a picture into a folder of pictures."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
