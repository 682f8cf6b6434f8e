import json

import numpy as np
import pytest
from i1_bench.generation import Generator
from i1_bench.runs import run_benchmark
from i1_bench.scenes.benchmark import ScenesConfig
from i1_bench.scenes.drawing import draw_right
from i1_hooks import UserError
from PIL import Image


class Drawer(Generator):
    """Draws right pictures for one split and empty ones for the other; may stop early."""

    def __init__(self, name="drawer", stop_after=None):
        self.name, self.stop_after, self.made = name, stop_after, []

    def describe(self):
        return {"model": {"name": self.name}, "sampling": {"steps": 1}}

    def generate(self, requests, seed):
        for request in requests:
            if len(self.made) == self.stop_after:
                raise KeyboardInterrupt
            self.made.append(str(request.path))
            rng = np.random.default_rng([seed, request.noise])
            seen = request.prompt.split == "seen"
            yield draw_right(request.prompt.spec, rng) if seen else np.full((64, 64, 3), 230, np.uint8)


def run(output, generator=None, count=2, **changes):
    return run_benchmark(
        ScenesConfig(),
        (generator or Drawer()) if "images" not in changes else None,
        **{"images_per_category": count, "seed": 0, "output": output, **changes},
    )


def test_a_run_writes_scores_results_pictures_and_sheet(tmp_path):
    scores = run(tmp_path / "a" / "b")
    folder = tmp_path / "a" / "b"
    assert json.loads((folder / "scores.json").read_text()) == scores
    assert (scores["seen"]["score"], scores["unseen"]["score"], scores["words"]["score"]) == (1.0, 0.0, 0.5)
    assert scores["seed"] == 0
    assert scores["model"] == {"name": "drawer"}
    assert scores["sampling"] == {"steps": 1}
    assert scores["configuration"] == {"component": "scenes", "judge": {"component": "scene_pixels"}}
    assert {"python", "numpy", "pillow", "scipy", "i1-bench"} <= set(scores["versions"])
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 28
    for line in lines:
        assert {"image", "prompt", "category", "split", "right", "reason", "seen"} <= set(line)
        assert line["right"] == (line["split"] == "seen")
        assert line["right"] or line["reason"] == "empty picture"
        with Image.open(folder / "images" / line["image"]) as picture:
            assert picture.size == (64, 64)
    with Image.open(folder / "contact_sheet.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors(1 << 20)}
    assert {(30, 150, 60), (210, 40, 40)} <= colours


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    first, second, whole = Drawer(stop_after=10), Drawer(), Drawer()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", first)
    resumed = run(tmp_path / "a", second)
    assert resumed == run(tmp_path / "b", whole)
    assert first.made + second.made == whole.made
    for path in whole.made:
        assert (tmp_path / "a/images" / path).read_bytes() == (tmp_path / "b/images" / path).read_bytes()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_larger_run_keeps_the_pictures_of_the_smaller_one(tmp_path):
    run(tmp_path, count=1)
    larger = Drawer()
    assert run(tmp_path, larger, count=2)["seen"]["count"] == 12
    assert len(larger.made) == 14
    smaller = Drawer()
    assert run(tmp_path, smaller, count=1)["seen"]["count"] == 6
    assert smaller.made == []


@pytest.mark.parametrize("changes", [{"generator": Drawer("other")}, {"seed": 1}])
def test_the_folder_of_another_run_is_refused(tmp_path, changes):
    run(tmp_path, count=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"another run: (model|seed)"):
        run(tmp_path, count=1, **changes)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="other files"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_record_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"benchmark": ')
    with pytest.raises(UserError, match="damaged"):
        run(tmp_path)


def test_existing_pictures_are_scored_in_place(tmp_path):
    generated = run(tmp_path / "a")
    scored = run(tmp_path / "b", images=tmp_path / "a" / "images")
    assert all(scored[key] == generated[key] for key in ("seen", "unseen", "words"))
    assert scored["images"] == str(tmp_path / "a" / "images")
    assert not (tmp_path / "b" / "images").exists()


def test_missing_and_unreadable_pictures_are_named(tmp_path):
    run(tmp_path / "a")
    broken = tmp_path / "a/images/seen/colors/00001.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(UserError, match=r"seen/colors/00001\.png is not a readable picture"):
        run(tmp_path / "a")
    broken.unlink()
    with pytest.raises(UserError, match=r"no picture .*seen/colors/00001\.png"):
        run(tmp_path / "b", images=tmp_path / "a" / "images")
