"""The decisions, geometry, summaries and crops of the published evaluation."""

import json

import numpy as np
import pytest
from i1_bench.geneval.crops import BACKGROUND, crop
from i1_bench.geneval.decision import Detection, Thresholds, decide
from i1_bench.geneval.geometry import overlap, relations
from i1_bench.geneval.summary import Outcome, reference_report, summarise


def box(values):
    return np.array(values, np.float32)


@pytest.mark.golden(pattern="geneval*.json")
def test_decisions(golden_file):
    cases = json.loads(golden_file.read_text())["cases"]
    assert cases
    for case in cases:
        detections = {
            name: [Detection(box=box(row["box"]), colour=row.get("color")) for row in rows]
            for name, rows in case["detections"].items()
        }
        found = decide(case["metadata"], detections, Thresholds(**case["options"]))
        expected = case["expected"]
        assert found.correct == expected["correct"], case["id"]
        if expected["reason_word_order_unstable"]:
            assert [sorted(r.split()) for r in found.reasons] == [
                sorted(r.split()) for r in expected["reason"]
            ]
        else:
            assert list(found.reasons) == expected["reason"], case["id"]
        kept = {name: [d.box.tolist() for d in rows] for name, rows in found.kept.items()}
        assert kept == {name: [box(b).tolist() for b in rows] for name, rows in expected["kept"].items()}


@pytest.mark.golden(pattern="geneval*.json")
def test_geometry(golden_file):
    for case in json.loads(golden_file.read_text())["geometry"]:
        a, b = box(case["a"]), box(case["b"])
        assert relations(a, b, case["position_threshold"]) == set(case["relations"]), case
        assert overlap(a, b) == pytest.approx(case["iou"], abs=1e-6)


@pytest.mark.golden(pattern="geneval*.json")
def test_summaries(golden_file):
    for case in json.loads(golden_file.read_text())["summary"]:
        expected = case["expected"]
        found = summarise([Outcome(**row) for row in case["rows"]])
        assert reference_report(found) == expected["stdout"]
        assert (found.num_images, found.num_prompts) == (expected["total_images"], expected["total_prompts"])
        assert found.image_accuracy == pytest.approx(expected["image_accuracy"], abs=1e-12)
        assert found.prompt_accuracy == pytest.approx(expected["prompt_any_accuracy"], abs=1e-12)
        assert found.overall == pytest.approx(expected["overall"], abs=1e-12)
        tags = {tag: (task["correct"], task["total"]) for tag, task in expected["tasks"].items()}
        assert found.tags == tags


@pytest.mark.golden(pattern="geneval_crops*.npz")
def test_crops(golden_file):
    arrays = np.load(golden_file, allow_pickle=False)
    for case in json.loads(bytes(arrays["spec"])):
        number = case["id"]
        mask = arrays[f"{number}_mask"] if case["has_mask"] else None
        background = None if case["options"].get("bgcolor") == "original" else BACKGROUND
        found = crop(arrays[f"{number}_image"], arrays[f"{number}_box"], mask, background)
        np.testing.assert_array_equal(found, arrays[f"{number}_crop"], err_msg=str(number))
