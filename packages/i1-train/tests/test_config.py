"""The recipe's record: its groups, what may change on resume, and the layout it had before."""

import json

import config_table
import pytest
import small_runs as runs
from i1_hooks import UserError, from_dict, to_dict
from i1_train.cli import main
from i1_train.config import Average, Checkpointing, FromStage, InitFrom, TrainConfig
from i1_train.recipes import load_recipe
from i1_train.stored_config import current_layout
from i1_train.workdir import may_change


def test_the_table_of_fields_in_the_document_is_current():
    document = config_table.DOCUMENT.read_text(encoding="utf-8")
    assert config_table.with_table(document) == document


FLAT = {
    "ema_decay": 0.5,
    "ema_warmup": True,
    "checkpoint_every": 7,
    "keep_checkpoints": 2,
    "keep_every": 14,
    "keep_best": 0,
    "machine": "box",
    "machines": [{"name": "box", "data": 2, "fsdp": 1, "context": 1, "tensor": 1, "settings": []}],
    "sharding": [[".*", []]],
    "from_stage": None,
}


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"init_from": None, "from_stage": None}, None),
        ({"init_from": "a", "from_stage": None}, InitFrom(weights="a")),
        ({"init_from": None, "from_stage": "b"}, FromStage(workdir="b")),
    ],
)
def test_a_recipe_of_an_earlier_layout_is_read(start, expected):
    now = to_dict(load_recipe("scenes-tiny"))
    kept = {name: now[name] for name in now.keys() - {"average", "checkpoints", "hardware", "start"}}
    config = from_dict(TrainConfig, current_layout({**kept, **FLAT, **start}))
    assert config.average == Average(decay=0.5, warmup=True)
    assert config.checkpoints == Checkpointing(every=7, keep=2, keep_every=14)
    assert (config.hardware.machine, config.hardware.machines[0].data) == ("box", 2)
    assert config.hardware.sharding == ((".*", ()),)
    assert config.start == expected


def test_the_current_layout_is_read_as_it_is():
    now = json.loads(json.dumps(to_dict(load_recipe("finetune-lora"))))
    assert current_layout(now) == now


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("steps", True),
        ("checkpoints.every", True),
        ("hardware.machines.0.data", True),
        ("hardware.machines.9.data", True),
        ("data.prefetch", True),
        ("data.sources.0.num_records", False),
        ("data.sources.9.num_records", False),
        ("batch_size", False),
        ("average.decay", False),
        ("nothing.of_the_kind", False),
    ],
)
def test_a_field_says_whether_it_may_change(path, expected):
    assert may_change(runs.recipe(), path) is expected


def test_weights_and_a_stage_exclude_each_other(capsys):
    with pytest.raises((UserError, SystemExit)):
        main(["scenes-tiny", "--workdir", "x", "--init-from", "a", "--from-stage", "b"])


def test_the_flags_of_a_start_are_the_field(capsys):
    assert main(["scenes-tiny", "--init-from", "some where", "--show"]) == 0
    assert json.loads(capsys.readouterr().out)["start"] == {"weights": "some where"}
    assert main(["scenes-tiny", "--from-stage", "some where", "--show"]) == 0
    assert json.loads(capsys.readouterr().out)["start"] == {"workdir": "some where"}
