"""A study of two tiny arms, from the command line to the files, and interruptions of it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from i1_hooks import cli
from i1_study import trial
from i1_train.monitoring.bad_steps import NotFiniteError

TINY = (
    "batch_size=4",
    "model.backbone.hidden_width=32",
    "model.backbone.num_heads=2",
    "model.backbone.depth=1",
    "model.backbone.long_skip=false",
    'model.backbone.layers="scan"',
    "model.text_encoders.0.width=32",
    "model.autoencoder.factor=8",
    "data.num_threads=0",
    "sampling.num_inference_steps=2",
    'optimizer="adam"',
)


def study(workdir, *flags, steps=2):
    settings = [word for assignment in TINY for word in ("--set", assignment)]
    flags = ["--steps", str(steps), "--seeds", "1", "--images-per-category", "1", *flags]
    return cli.main(["study", "prediction", "--workdir", str(workdir), *flags, *settings])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "train", interrupted_once(trial.train))
        assert study(workdir) == 1
        assert study(workdir) == 0
    return workdir


def interrupted_once(train):
    """Returns `train` whose second call is interrupted before it begins."""
    from i1_train.process.signals import RunInterruptedError

    calls = []

    def interrupted(config, folder):
        calls.append(folder)
        if len(calls) == 2:
            raise RunInterruptedError("SIGTERM at step 0: saved to nowhere")
        return train(config, folder)

    return interrupted


def test_the_summary_says_what_was_found(done):
    record = json.loads((done / "prediction" / "study.json").read_text())
    velocity, data = record["arms"]
    assert (velocity["arm"], data["arm"]) == ("velocity", "data")
    assert velocity["reference"]
    assert not data["reference"]
    assert record["settings"]["steps"] == 2
    assert len(velocity["seeds"]) == 1
    assert velocity["held_out_loss"]["mean"] > 0
    assert data["verdict"] == data["verdict_by_loss"] == "nothing published"
    assert data["held_out_loss_improvement"]["mean"] == pytest.approx(
        velocity["held_out_loss"]["mean"] - data["held_out_loss"]["mean"]
    )
    assert record["recipes"]["data"]["model"]["flow"]["prediction"] == "x"


def test_page_and_picture_are_whole(done):
    page = (done / "prediction" / "study.md").read_text()
    assert page.startswith("# prediction\n")
    tables = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert len(tables) == 8
    root = ET.parse(done / "prediction" / "study.svg").getroot()
    texts = [element.text for element in root.iter() if element.text]
    assert {"velocity", "data", "reference", "nothing published"} <= set(texts)
    data = json.loads((done / "prediction" / "study.json").read_text())["arms"][1]
    for field, digits in (("score_difference", 3), ("held_out_loss_improvement", 4)):
        low, high = (f"{data[field][end]:+.{digits}f}" for end in ("low", "high"))
        assert any(text.endswith(f"({low} to {high})") for text in texts)
        assert f"({low} to {high})" in page


def test_a_finished_study_trains_nothing(done, monkeypatch):
    def never(*_):
        raise AssertionError("trained again")

    before = (done / "prediction" / "study.json").read_text()
    monkeypatch.setattr(trial, "train", never)
    monkeypatch.setattr(trial, "run_benchmark", never)
    assert study(done) == 0
    assert (done / "prediction" / "study.json").read_text() == before


def test_a_run_that_diverges_is_a_result(done, tmp_path, monkeypatch):
    def diverging(config, folder):
        raise NotFiniteError("loss nan")

    monkeypatch.setattr(trial, "train", diverging)
    assert study(tmp_path) == 0
    (row, _) = json.loads((tmp_path / "prediction" / "study.json").read_text())["arms"]
    assert row["failed_seeds"] == 1
    assert "the loss of 1 of 1 seeds" in (tmp_path / "prediction" / "study.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds", "0"], "--seeds 0: expected at least 1"),
        (["--set", "model.flow.prediction=x"], "'velocity' and 'data' are the same recipe"),
        (["--set", "model.flow.prediktion=x"], "did you mean"),
        (["--steps", "0"], "steps must be at least 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capfd, flags, message):
    assert study(tmp_path, *flags) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(Path(tmp_path).iterdir())


def test_an_unknown_study_lists_the_choices(capfd):
    assert cli.main(["study", "adaptor"]) == 2
    assert "unknown study 'adaptor'; did you mean 'adapter'" in capfd.readouterr().err


def test_a_damaged_result_is_named(done, tmp_path, capfd):
    copy = next((done / "runs").iterdir()).name
    (tmp_path / "runs" / copy).mkdir(parents=True)
    (tmp_path / "runs" / copy / "trial.json").write_text("{")
    other = [folder for folder in (done / "runs").iterdir() if folder.name != copy]
    for folder in other:
        (tmp_path / "runs" / folder.name).symlink_to(folder)
    assert study(tmp_path) == 2
    assert "trial.json cannot be read" in capfd.readouterr().err
