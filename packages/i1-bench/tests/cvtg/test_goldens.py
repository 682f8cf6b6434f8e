"""The word metrics and CLIPScore of the published evaluation."""

import json

import numpy as np
import pytest
from i1_bench.cvtg.scoring import CLIP_PREFIX, clip_scores, total
from i1_bench.cvtg.words import edit_similarity, read, wanted_words


def lines_of(pages):
    if pages == "raise":
        return None
    return [line for page in pages or () for line in page or ()]


@pytest.mark.golden(pattern="cvtg*.json")
def test_words(golden_file):
    for case in json.loads(golden_file.read_text())["words"]:
        assert wanted_words(case["prompt"]) == case["words"]


@pytest.mark.golden(pattern="cvtg*.json")
def test_readings(golden_file):
    cases = json.loads(golden_file.read_text())["ocr_cases"]
    assert cases
    for case in cases:
        found, expected = read(case["gt_words"], lines_of(case["ocr_pages"])), case["expected"]
        assert (found.total, found.correct) == (expected["total_words"], expected["correct_words"]), case
        assert list(found.similarities) == pytest.approx(expected["edit_similarities"], abs=1e-9), case


@pytest.mark.golden(pattern="cvtg*.json")
def test_edit_similarities(golden_file):
    for case in json.loads(golden_file.read_text())["edit_similarity"]:
        assert edit_similarity(case["a"], case["b"]) == pytest.approx(case["value"], abs=1e-9)


@pytest.mark.golden(pattern="cvtg*.json")
def test_clip_scores(golden_file):
    for case in json.loads(golden_file.read_text())["clipscore"]:
        found = clip_scores(np.array(case["image_features"]), np.array(case["text_features"]))
        assert [CLIP_PREFIX + text for text in case["texts"]] == case["expected"]["tokenised_texts"]
        np.testing.assert_allclose(found, case["expected"]["scores"], atol=1e-6)


@pytest.mark.golden(pattern="cvtg*.json")
def test_runs(golden_file):
    for run in json.loads(golden_file.read_text())["runs"]:
        readings, scores, areas = [], [], {}
        for subset, content in run["input"].items():
            if not content["image_folder"]:
                continue
            prompts = {entry["index"]: entry["prompt"] for entry in content["prompts"]}
            here, clips = [], []
            for image in content["images"]:
                index = int(image["file"].partition(".")[0])
                if index in prompts:
                    here.append(read(wanted_words(prompts[index]), lines_of(image["ocr_pages"])))
                    clips.append(image["clip_score"])
            kind, _, area = subset.partition("/")
            areas[kind, int(area)] = total(here, clips)
            readings += here
            scores += clips
        expected = run["expected"]
        if expected is None:
            assert not readings
            continue
        compare(total(readings, scores), expected["overall_results"])
        assert len(areas) == len(expected["area_results"])
        for area in expected["area_results"]:
            compare(areas[area["benchmark_type"], area["area"]], area)


def compare(found, expected):
    assert (found.images, found.words, found.correct) == (
        expected["total_images"],
        expected["total_words"],
        expected["correct_words"],
    )
    assert found.word_accuracy == pytest.approx(expected["word_accuracy"], abs=1e-9)
    assert found.ned == pytest.approx(expected["ned"], abs=1e-9)
    assert (found.clip_score or 0) == pytest.approx(expected["clipscore"], abs=1e-6)
