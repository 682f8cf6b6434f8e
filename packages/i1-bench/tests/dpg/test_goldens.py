"""The scores of the published evaluation on synthetic questions."""

import json

import pytest
from i1_bench.dpg.questions import COLUMNS, Question, parse_questions
from i1_bench.dpg.scoring import score_item, score_run


@pytest.mark.golden(pattern="dpg*.json")
def test_items(golden_file):
    samples = json.loads(golden_file.read_text())["samples"]
    assert samples
    for sample in samples:
        questions = [
            Question(
                number=entry["qid"],
                parents=tuple(parent for parent in entry["depends_on"] if parent),
                text="",
                category="",
            )
            for entry in sample["questions_in_order"]
        ]
        answers = [
            {entry["qid"]: entry["answers"][picture] for entry in sample["questions_in_order"]}
            for picture in range(sample["pic_num"])
        ]
        found, expected = score_item(questions, answers), sample["expected"]
        assert list(found.pictures) == pytest.approx(expected["crop_scores"], abs=1e-12), sample["id"]
        assert found.mean == pytest.approx(expected["average"], abs=1e-12)
        assert {str(q): value for q, value in found.raw[-1].items()} == expected["last_crop_raw_scores"]


@pytest.mark.golden(pattern="dpg*.json")
def test_runs(golden_file):
    for run in json.loads(golden_file.read_text())["runs"]:
        rows = [dict(zip(COLUMNS, map(str, row), strict=True)) for row in run["csv_rows"]]
        questions = parse_questions(rows)
        answers = {}
        for name in run["images"]:
            item = name.partition(".")[0]
            given = run["answers"].get(item, {})
            answers[item] = [
                {int(q): replies[picture] for q, replies in given.items()}
                for picture in range(run["pic_num"])
            ]
        found, expected = score_run(questions, answers), run["expected"]
        files = {name.partition(".")[0]: name for name in run["images"]}
        assert {files[item]: list(score.pictures) for item, score in found.items.items()} == {
            name: pytest.approx(entry["crop_scores"], abs=1e-12)
            for name, entry in expected["per_image"].items()
        }
        assert {files[item] for item in found.failed} == set(expected["failed"]) & set(run["images"])
        assert found.categories == pytest.approx(expected["l1"], abs=1e-9), run["note"]
        assert found.details == pytest.approx(expected["l2"], abs=1e-9), run["note"]
        assert found.score == pytest.approx(expected["dpg_score"], abs=1e-9)
