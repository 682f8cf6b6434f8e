"""The text scores of the published evaluation."""

import json

import pytest
from i1_bench.longtext.scoring import match, normalise, text_score, without_sentinel


@pytest.mark.golden(pattern="longtext*.json")
def test_cases(golden_file):
    cases = json.loads(golden_file.read_text())["cases"]
    assert cases
    for case in cases:
        mode, expected = case["mode"], case["expected"]
        found = match(case["gt"], case["ocr_raw"], mode)
        if "error" in expected:
            assert found.total == 0
            assert text_score([found]) is None
            continue
        assert without_sentinel(case["ocr_raw"]) == expected["after_hallucination_filter"]
        assert normalise(expected["after_hallucination_filter"], mode) == expected["ocr_normalised"], case[
            "id"
        ]
        assert normalise(" ".join(case["gt"]), mode) == expected["gt_normalised"], case["id"]
        assert (found.matched, found.total) == (expected["match_word_count"], expected["gt_word_count"])
        assert text_score([found]) == pytest.approx(expected["text_accuracy"], abs=1e-12)


@pytest.mark.golden(pattern="longtext*.json")
def test_groups(golden_file):
    for group in json.loads(golden_file.read_text())["groups"]:
        found = text_score([match(row["gt"], row["ocr_raw"], row.get("mode", "en")) for row in group["rows"]])
        assert found == pytest.approx(group["expected"]["text_score"], abs=1e-12)
        assert f"Text Score: {found:.4f}\n" == group["expected"]["scores_txt"]
