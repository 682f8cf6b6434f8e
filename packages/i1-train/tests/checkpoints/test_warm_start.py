"""Beginning from weights, or from the state of an earlier stage."""

import numpy as np
import pytest
import small_runs as runs
from i1_hooks import UserError
from i1_model.arrays.trees import flatten
from i1_model.checkpoints.folder import load_model, save_model
from i1_model.checkpoints.names import to_released
from i1_train.checkpoints.weights import find_weights, read_weights
from i1_train.parts import build_parts

START = 'start={{"%s":"%s"}}'
LARGER = ("model.resolution=128", "data.resolution=128")


@pytest.fixture(scope="module", autouse=True)
def quick_step():
    """A step that adds 1 to the parameters and 2 to the average, so that they can be told apart."""

    def make(config, parts, *rest):
        def step(state, constants, batch):
            count = int(state["step"]) + 1
            new = {**state, "step": state["step"] + 1}
            new["params"] = {k: v + 1 if k in parts.update.trained else v for k, v in state["params"].items()}
            new["ema"] = {k: v + 2 for k, v in state["ema"].items()}
            return new, {"loss": 1 / count, "grad_norm": 1.0, "learning_rate": 1e-3}

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("i1_train.opening.make_step", make)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_step):
    """A finished run of 2 steps at 64 pixels."""
    workdir = tmp_path_factory.mktemp("trained")
    runs.run(workdir, "steps=2")
    return workdir


def positions(arrays):
    return next(value for name, value in arrays.items() if name.endswith("pos_embed']"))


def test_weights_begin_a_new_run_at_another_resolution(trained, tmp_path):
    runs.run(tmp_path, "steps=1", f'start={{"weights":"{trained}"}}', *LARGER)
    weights = flatten(load_model(trained / "checkpoints" / "2" / "model").params)
    state = runs.arrays(tmp_path, 1)
    for name, value in weights.items():
        if not name.endswith("pos_embed"):
            np.testing.assert_array_equal(state[f"['params']['{name}']"], value + 1, err_msg=name)
            np.testing.assert_array_equal(state[f"['ema']['{name}']"], value + 2, err_msg=name)
    fresh = build_parts(runs.recipe(*LARGER)).network.shapes["backbone/pos_embed"].shape
    assert positions(state).shape == fresh != weights["backbone/pos_embed"].shape
    assert len(runs.metrics(tmp_path)) == 1


def test_resuming_does_not_begin_again(trained, tmp_path):
    settings = ("checkpoints.every=1", f'start={{"weights":"{trained}"}}')
    runs.run(tmp_path / "twice", "steps=1", *settings)
    runs.run(tmp_path / "twice", "steps=2", *settings)
    runs.run(tmp_path / "once", "steps=2", *settings)
    runs.assert_same_state(tmp_path / "twice", tmp_path / "once", 2)


def test_the_next_stage_takes_the_whole_state(trained, tmp_path):
    runs.run(tmp_path, "steps=3", f'start={{"workdir":"{trained}"}}', *LARGER)
    before, after = runs.arrays(trained, 2), runs.arrays(tmp_path, 3)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if name.endswith("pos_embed']"):
            assert value.shape != after[name].shape
        elif name.startswith("['opt']"):
            np.testing.assert_array_equal(after[name], value, err_msg=name)
        elif name.startswith(("['params']", "['ema']")):
            added = 1 if name.startswith("['params']") else 2
            np.testing.assert_array_equal(after[name], value + added, err_msg=name)
    assert after["['step']"] == 3
    assert [row["step"] for row in runs.metrics(tmp_path)] == [3]


def test_positions_are_those_of_the_resolution(trained, tmp_path):
    runs.run(tmp_path / "stage", "steps=3", f'start={{"workdir":"{trained}"}}', *LARGER)
    runs.run(tmp_path / "fresh", "steps=1", *LARGER)
    stage, fresh = runs.arrays(tmp_path / "stage", 3), runs.arrays(tmp_path / "fresh", 1)
    np.testing.assert_array_equal(positions(stage), positions(fresh))


def test_weights_are_found_in_all_they_may_be(trained, tmp_path):
    model = trained / "checkpoints" / "2" / "model"
    for path in (trained, trained / "checkpoints" / "2", model):
        assert find_weights(str(path)) == model
    file = tmp_path / "released.npz"
    assert find_weights(str(write_released(trained, file))) == file


def write_released(trained, file):
    params = load_model(trained / "checkpoints" / "2" / "model").params
    arrays = {f"params_ema/{name}": np.asarray(value) for name, value in to_released(params).items()}
    with file.open("wb") as out:
        np.savez(out, **arrays)
    return file


def test_released_weights(trained, tmp_path):
    file = write_released(trained, tmp_path / "checkpoint.npz")
    config = runs.recipe(*LARGER)
    from_file, from_folder = (read_weights(str(path), config.model, config.lora) for path in (file, trained))
    assert from_file.keys() == from_folder.keys()
    for name, value in from_folder.items():
        np.testing.assert_array_equal(value, from_file[name], err_msg=name)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ([START % ("weights", "/nowhere")], "start.weights /nowhere: .*no such file or folder"),
        ([START % ("workdir", "/nowhere")], "start.workdir /nowhere: the folder holds no checkpoint"),
        ([START % ("weights", "{trained}"), "model.adapter.num_blocks=2"], ".*missing: .*connector"),
        ([START % ("workdir", "{trained}"), "model.adapter.num_blocks=2"], "do not fit this recipe: .* -> "),
        ([START % ("workdir", "{trained}"), "optimizer=adafactor"], "does not fit this recipe's optimizer"),
        ([START % ("workdir", "{trained}"), "steps=2"], "at step 2, and steps counts all stages"),
    ],
)
def test_what_does_not_fit(trained, tmp_path, assignments, message):
    with pytest.raises(UserError, match=message):
        runs.run(tmp_path / "run", *(a.format(trained=trained) for a in assignments))
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_workdir_without_a_checkpoint(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="has no complete checkpoint yet"):
        find_weights(str(tmp_path))


def test_a_model_of_another_kind(tmp_path, trained):
    loaded = load_model(trained / "checkpoints" / "2" / "model")
    save_model(tmp_path, loaded.config, loaded.params, metadata={})
    config = runs.recipe("model.backbone.hidden_width=64")
    with pytest.raises(UserError, match=r"start.weights .*of another shape"):
        read_weights(str(tmp_path), config.model, config.lora)
