"""The whole command with a tiny random model; needs i1-sample."""

import json

import numpy as np
import pytest
from i1_bench.cli import main
from i1_bench.generation import _batches
from i1_bench.scenes.benchmark import ScenesConfig
from i1_hooks import UserError
from PIL import Image

models = pytest.importorskip("i1_sample.testing.models")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return models.write_tiny_model(folder / "tiny"), models.write_tiny_model(folder / "other", seed=1)


def bench(model, output, *more, count=1):
    arguments = ["scenes", "--model", str(model), "--seed", "3", "--output", str(output)]
    return main([*arguments, "--images-per-category", str(count), *more])


def test_a_random_model_scores_nothing_and_its_pictures_are_reproducible(model, tmp_path):
    tiny, other = model
    assert bench(tiny, tmp_path / "a", "--steps", "2", "--guidance-scale", "1", "--batch-size", "14") == 0
    scores = json.loads((tmp_path / "a" / "scores.json").read_text())
    assert scores["seen"]["score"] == scores["unseen"]["score"] == scores["words"]["score"] == 0
    assert scores["sampling"]["num_inference_steps"] == 2
    assert scores["sampling"]["guidance_scale"] == 1
    assert scores["model"]["name"] == str(tiny)
    assert scores["seed"] == 3

    kept = tmp_path / "a/images/seen/words/00000.png"
    again = tmp_path / "a/images/unseen/position/00000.png"
    before, pixels, stamp = kept.read_bytes(), np.asarray(Image.open(again).copy()), kept.stat().st_mtime_ns
    again.unlink()
    assert bench(tiny, tmp_path / "a", "--steps", "2", "--guidance-scale", "1", "--batch-size", "14") == 0
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (before, stamp)
    np.testing.assert_allclose(np.asarray(Image.open(again).copy()).astype(int), pixels, atol=1)

    with pytest.raises(UserError, match="another run: sampling"):
        bench(tiny, tmp_path / "a", "--steps", "3", "--guidance-scale", "1")
    with pytest.raises(UserError, match="another run: model"):
        bench(other, tmp_path / "a", "--steps", "2", "--guidance-scale", "1")


def test_an_unknown_model_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match="nonesuch"):
        bench("nonesuch", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_batches_are_neighbours_in_noise():
    requests = ScenesConfig().build().requests(1, 0)
    missing = [request for request in requests if request.noise not in (3, 9)]
    batches = [[request.noise for request in batch] for batch in _batches(missing, 4)]
    assert batches == [[0, 1, 2], [4, 5, 6, 7], [8], [10, 11, 12, 13]]


def test_options_of_sampling_are_options_of_every_run(model, tmp_path, capsys):
    tiny, _ = model
    arguments = ["run", "--benchmark", "scenes", "--model", str(tiny), "--count", "1", "--output"]
    options = [
        "--steps",
        "3",
        "--solver",
        "heun",
        "--guidance",
        "cfg",
        "--guidance-scale",
        "2",
        "--preset",
        "fast",
    ]
    assert main([*arguments, str(tmp_path / "a"), *options, "--batch-size", "14"]) == 0
    scores = json.loads((tmp_path / "a/scenes/scores.json").read_text())
    assert scores["sampling"]["solver"]["component"] == "heun"
    assert scores["sampling"]["num_inference_steps"] == 3
    assert scores["counts"]["judged"] == scores["counts"]["pictures"] == 14
    with pytest.raises(UserError, match="another run: sampling"):
        main([*arguments, str(tmp_path / "a"), *options[2:], "--steps", "2"])
    capsys.readouterr()


def test_a_sweep_runs_a_grid_and_draws_it(model, tmp_path):
    tiny, _ = model
    arguments = ["sweep", "--benchmark", "scenes", "--model", str(tiny), "--count", "1", "--batch-size", "14"]
    arguments += ["--output", str(tmp_path), "--guidance-scale", "2"]
    assert main([*arguments, "--grid", "steps=1,2", "--grid", "solver=euler,heun"]) == 0
    rows = json.loads((tmp_path / "sweep.json").read_text())
    assert [(row["point"], row["evaluations"]) for row in rows] == [
        ("steps-1_solver-euler", 2),
        ("steps-1_solver-heun", 4),
        ("steps-2_solver-euler", 4),
        ("steps-2_solver-heun", 8),
    ]
    assert all(row["score"] == 0 and row["seconds_per_picture"] > 0 for row in rows)
    assert "| steps-2_solver-heun | scenes | 0 | 0 to 0 | 8 |" in (tmp_path / "sweep.md").read_text()
    assert (tmp_path / "sweep_scenes_evaluations.svg").read_text().startswith("<svg")
    again = json.loads((tmp_path / "sweep.json").read_text())
    assert main([*arguments, "--grid", "steps=1,2", "--grid", "solver=euler,heun"]) == 0
    assert json.loads((tmp_path / "sweep.json").read_text()) == again, "pictures that are there cost nothing"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([], "no grid: give --grid FLAG=A,B"),
        (["--grid", "steps"], "--grid steps: expected FLAG=A,B"),
        (["--grid", "stepps=1,2"], "unknown option of `i1 bench sweep` '--stepps'; did you mean '--steps'"),
        (["--grid", "solver=eulr"], "unknown .*'eulr'; did you mean 'euler'"),
    ],
)
def test_mistakes_in_a_grid(grid, message, tmp_path):
    with pytest.raises(UserError, match=message):
        main(["sweep", "--benchmark", "scenes", "--output", str(tmp_path / "x"), "--count", "1", *grid])
    assert not (tmp_path / "x").exists()
