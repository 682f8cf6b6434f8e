"""Rendered texts through the real OCR engine into the scores of CVTG-2K and LongText-Bench."""

import json
import re

import numpy as np
import pytest
from bench_files import save, write_prompts, write_text
from i1_bench.cli import main
from i1_bench.cvtg.benchmark import CvtgConfig
from i1_bench.longtext.benchmark import LongTextConfig
from PIL import Image, ImageDraw, ImageFilter, ImageFont


def bitmap_text(lines):
    """Returns a picture in Pillow's bitmap font, enlarged, uint8 (512, 512, 3)."""
    small = Image.new("RGB", (128, 128), "white")
    for number, line in enumerate(lines):
        place = (8, 14 + 24 * number)
        ImageDraw.Draw(small).text(place, line, fill="black", font=ImageFont.load_default_imagefont())
    return np.asarray(small.resize((512, 512), Image.Resampling.BICUBIC))


def blurred(pixels, radius):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


RENDERINGS = {
    "large": (lambda lines: write_text(lines, font=64), 1.0),
    "small": (lambda lines: write_text(lines, font=28), 1.0),
    "bitmap": (bitmap_text, 1.0),
    "turned": (lambda lines: write_text(lines, font=52, turn=6), 1.0),
    "white on blue": (lambda lines: write_text(lines, font=52, ground=(20, 40, 120), ink="white"), 1.0),
    "blurred": (lambda lines: blurred(write_text(lines, font=56), 2), 1.0),
    "illegible": (lambda lines: blurred(write_text(lines, font=40), 14), 0.0),
    "misspelt": (lambda lines: write_text([line.replace("e", "o", 1) for line in lines]), None),
    "empty": (lambda lines: write_text([]), 0.0),
}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    folder = write_prompts(tmp_path_factory.mktemp("prompts"))
    texts = ["Open Today", "Fresh Bread"]
    rows = [
        {"index": k, "prompt": f"a {name} board with '{texts[0]}' and '{texts[1]}'"}
        for k, name in enumerate(RENDERINGS)
    ]
    (folder / "cvtg-2k/prompts/CVTG/2.json").write_text(json.dumps({"data_list": rows}))
    return folder


def results(output):
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def test_cvtg_reads_what_was_rendered(tmp_path, prompts):
    benchmark = CvtgConfig(prompts=str(prompts), verify=False).build()
    requests = [r for r in benchmark.requests(1, 0) if r.prompt.category == "CVTG/2"]
    for request, (render, _) in zip(requests, RENDERINGS.values(), strict=True):
        save(tmp_path / "pictures", request.path, render(re.findall("'(.*?)'", request.prompt.spec)))
    arguments = ["run", "--benchmark", "cvtg-2k", "--prompts", str(prompts), "--set", "verify=false"]
    arguments += ["--images", str(tmp_path / "pictures"), "--output", str(tmp_path / "out")]
    assert main(arguments) == 1, "the other subsets have no pictures"
    shares = {}
    for name, row in zip(RENDERINGS, results(tmp_path / "out/cvtg-2k"), strict=False):
        shares[name] = row["credit"] / row["weight"]
    expected = {name: share for name, (_, share) in RENDERINGS.items() if share is not None}
    assert {name: shares[name] for name in expected} == expected
    assert 0 < shares["misspelt"] < 1, "Opon Today, Frosh Bread"
    scores = json.loads((tmp_path / "out/cvtg-2k/scores.json").read_text())
    assert scores["subsets"]["CVTG/2"]["ned"] > scores["score"]
    assert scores["counts"]["judged"] == len(RENDERINGS) < scores["counts"]["pictures"]


def test_longtext_takes_the_ocr_engine_as_a_stand_in(tmp_path, prompts):
    benchmark = LongTextConfig(prompts=str(prompts), verify=False).build()
    for request in benchmark.requests(1, 0):
        save(tmp_path / "pictures", request.path, write_text(request.prompt.spec["text"], font=44))
    arguments = ["run", "--benchmark", "longtext", "--prompts", str(prompts), "--count", "1"]
    arguments += ["--set", "verify=false", "--set", "judge=rapid_ocr"]
    arguments += ["--images", str(tmp_path / "pictures"), "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    scores = json.loads((tmp_path / "out/longtext/scores.json").read_text())
    assert scores["score"] == 1.0
    assert scores["judges"]["reader"]["component"] == "rapid_ocr"
