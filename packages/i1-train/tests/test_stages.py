"""Several recipes as the stages of one run."""

import dataclasses
import json
from pathlib import Path

import pytest
from i1_hooks import UserError, cli
from i1_train.config import PREVIOUS_STAGE, FromStage, InitFrom
from i1_train.recipes import load_recipe
from i1_train.stages import plan_stages

TINY = load_recipe("scenes-tiny")
SECOND = dataclasses.replace(TINY, recipe="second")


def test_a_single_recipe_trains_in_the_workdir_itself():
    assert plan_stages([TINY], "w") == [(TINY, Path("w"))]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, FromStage(workdir="w/scenes-tiny")),
        (FromStage(workdir=PREVIOUS_STAGE), FromStage(workdir="w/scenes-tiny")),
        (InitFrom(weights=PREVIOUS_STAGE), InitFrom(weights="w/scenes-tiny")),
        (InitFrom(weights="scenes"), InitFrom(weights="scenes")),
    ],
)
def test_a_later_stage_starts_from_the_one_before_unless_it_names_another_start(start, expected):
    stages = plan_stages([TINY, dataclasses.replace(SECOND, start=start)], "w")
    assert [workdir for _, workdir in stages] == [Path("w/scenes-tiny"), Path("w/second")]
    assert stages[0][0] == TINY
    assert stages[1][0].start == expected


def test_three_stages_form_a_chain():
    third = dataclasses.replace(TINY, recipe="third")
    starts = [config.start for config, _ in plan_stages([TINY, SECOND, third], "w")]
    assert starts == [None, FromStage(workdir="w/scenes-tiny"), FromStage(workdir="w/second")]


def test_a_recipe_named_twice_is_refused():
    with pytest.raises(UserError, match="'scenes-tiny' is named twice"):
        plan_stages([TINY, TINY], "w")


def test_a_first_recipe_that_needs_an_earlier_stage_says_how_to_run_it(capsys, tmp_path):
    assert cli.main(["train", "scenes-words", "--workdir", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "`i1 train FIRST scenes-words`" in message
    assert "--init-from" in message
    assert not list(tmp_path.iterdir())


def test_the_second_stage_begins_with_the_averaged_weights_of_the_first_and_a_finished_stage_is_kept(
    tmp_path, capsys
):
    plugin = tmp_path / "stages.py"
    plugin.write_text(
        "import dataclasses\n"
        "from i1_hooks import Component, hookimpl\n"
        "def again():\n"
        "    from i1_train.config import InitFrom\n"
        "    from i1_train.recipes.scenes import scenes_tiny\n"
        "    return dataclasses.replace(scenes_tiny(), recipe='again', start=InitFrom(weights='@previous'))\n"
        "@hookimpl\n"
        "def i1_recipes():\n"
        "    return [Component('again', f'{__name__}:again', 'a second stage')]\n"
    )
    line = ["--plugin", str(plugin), "train", "scenes-tiny", "again", "--workdir", str(tmp_path / "run")]
    line += ["--set", "steps=2", "--set", 'loggers=[{"component":"jsonl"}]']
    assert cli.main(line) == 0
    stored = json.loads((tmp_path / "run" / "again" / "config.json").read_text())
    assert stored["start"] == {"weights": str(tmp_path / "run" / "scenes-tiny")}
    assert f"from the weights of {tmp_path / 'run' / 'scenes-tiny'}" in capsys.readouterr().out
    logs = {path: path.read_bytes() for path in sorted(tmp_path.glob("run/*/metrics.jsonl"))}
    assert len(logs) == 2
    assert cli.main(line) == 0  # both are finished: nothing is trained again
    assert {path: path.read_bytes() for path in logs} == logs
