"""The replies and averages of the published evaluation."""

import json
import math

import pytest
from i1_bench.prism.replies import rate
from i1_bench.prism.scoring import TRACKS, average, reference_report


def same(a, b):
    return repr(a) == repr(b)


@pytest.mark.golden(pattern="prism*.json")
def test_replies(golden_file):
    replies = json.loads(golden_file.read_text())["replies"]
    assert replies
    wrong = []
    for case in replies:
        found, expected = rate(case["text"]), case["expected"]
        agrees = found.saved == expected["saved"]
        if "parsed" in expected:
            agrees &= same(found.parsed, expected["parsed"])
        if expected.get("counted", False) is None:
            agrees &= found.stops and found.score is None
        elif "counted" in expected:
            agrees &= (found.score is not None) == expected["counted"]
        if "score" in expected:
            score = expected["score"]
            agrees &= same(float(score), found.score) if isinstance(score, str) else same(score, found.score)
        if not agrees:
            wrong.append((case["note"], case["text"], found, expected))
    assert not wrong


@pytest.mark.golden(pattern="prism*.json")
def test_runs(golden_file):
    data = json.loads(golden_file.read_text())
    assert tuple(data["track_order"]) == TRACKS
    for run in data["runs"]:
        left_out = {tuple(place) for place in (*run["missing"], *run["broken_images"])}
        kept = {tuple(entry[:3]): entry[3] for entry in run["already_saved"]}
        scores, calls, saved = {}, 0, 0
        for aspect, tracks in run["replies"].items():
            for track, replies in tracks.items():
                pool = scores.setdefault(aspect, {}).setdefault(track, [])
                for index, reply in enumerate(replies):
                    if (aspect, track, index) in kept:
                        rating = rate(kept[aspect, track, index])
                        saved += 1
                    elif (track, index) in left_out:
                        continue
                    else:
                        rating = rate(reply or "")
                        calls += 1
                        saved += rating.saved
                    if rating.score is not None:
                        pool.append(rating.score)
        expected = run["expected"]
        assert (calls, saved) == (expected["judge_calls"], expected["saved_files"]), run["note"]
        assert {a: {t: len(s) for t, s in tracks.items()} for a, tracks in scores.items()} == expected[
            "counted"
        ]
        found, averages = average(scores), expected["averages"]
        for name in ("alignment", "aesthetic", "combined"):
            here = {track: means[name] for track, means in found.tracks.items()}
            assert here == pytest.approx(averages[f"{name}_by_category"], abs=1e-9, nan_ok=True), run["note"]
        assert found.alignment == pytest.approx(averages["overall_alignment"], abs=1e-9, nan_ok=True)
        assert found.aesthetic == pytest.approx(averages["overall_aesthetic"], abs=1e-9, nan_ok=True)
        assert found.final == pytest.approx(averages["final_total_average"], abs=1e-9, nan_ok=True)
        if not math.isnan(found.final):
            assert reference_report(found) == expected["summary_text"]
