"""Runs against the library itself, offline; without it the tests are skipped."""

import i1_plugin_mlflow.plugin
import pytest
from i1_hooks import Registry, UserError, use_registry
from i1_hooks.registry import installed_plugins
from i1_plugin_mlflow.logger import MLflow
from i1_train.testing import LoggerSuite
from PIL import Image

mlflow = pytest.importorskip("mlflow", reason="needs: pip install mlflow-skinny", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # of the library and what it imports


@pytest.fixture(autouse=True)
def registry():
    """The installed plugins, and this one where it is not."""
    found = installed_plugins()
    if not any(source.name == "mlflow" for source in found):
        found = [*found, ("mlflow", "i1-plugin-mlflow", "0", lambda: i1_plugin_mlflow.plugin)]
    with use_registry(Registry(found)):
        yield


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No server of this machine's settings is used."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


class TestMLflow(LoggerSuite):
    component = MLflow()

    def logged_steps(self, workdir):
        client, run = run_of(workdir)
        return sorted({point.step for point in client.get_metric_history(run.info.run_id, "loss")})


def fill(workdir, begin=0, end=4, **settings):
    (workdir / "config.json").write_text('{"recipe": "mine"}')
    logger = MLflow(**{"every": 1, **settings}).build(workdir, begin)
    for step in range(begin + 1, end + 1):
        logger.log(step, {"loss": 1.0 / step, "loss_by_time/0.00-0.25": 2.0, "held_out/loss": 3.0})
    picture = workdir / "step_00000004.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    logger.log_image(end, "samples", picture)
    logger.flush()
    logger.close()


def run_of(workdir):
    client = mlflow.MlflowClient(tracking_uri=(workdir / "mlruns").as_uri())
    return client, client.get_run((workdir / "mlflow_run_id").read_text().strip())


def test_points_and_pictures_are_in_the_store(tmp_path):
    fill(tmp_path)
    client, run = run_of(tmp_path)
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert run.data.metrics["loss_by_time/0.00-0.25"] == 2.0
    assert run.info.status == "FINISHED"
    assert run.info.run_name == tmp_path.name
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.json", "samples"}
    assert [f.path for f in client.list_artifacts(run.info.run_id, "samples")] == [
        "samples/step_00000004.png"
    ]


def test_a_resumed_training_has_the_same_run(tmp_path):
    fill(tmp_path)
    _, before = run_of(tmp_path)
    fill(tmp_path, begin=2, end=6)
    client, after = run_of(tmp_path)
    assert after.info.run_id == before.info.run_id
    points = {(point.step, point.value) for point in client.get_metric_history(after.info.run_id, "loss")}
    assert points == {(step, 1.0 / step) for step in range(1, 7)}


def test_a_store_that_cannot_be_used_is_one_error(tmp_path):
    with pytest.raises(UserError, match="MLflow at nonsense://x refuses the run"):
        MLflow(tracking_uri="nonsense://x").build(tmp_path, 0)
