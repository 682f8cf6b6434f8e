"""The comparison of two checkouts finds what differs; the commands themselves are run by hand."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

sys.path.append(str(Path(__file__).parent))
import compare_checkouts as comparison

METRICS = {"loss": 1.5, "images_per_second": 90.0}


def write_run(workdir, losses=(1.5, 1.25), kernel=0.5, step=10):
    """Writes what is read of a workdir."""
    (workdir / "checkpoints" / str(step) / "model").mkdir(parents=True)
    (workdir / "checkpoints" / "5" / "model").mkdir(parents=True)
    lines = [json.dumps({"step": k, **METRICS, "loss": loss}) + "\n" for k, loss in enumerate(losses, 1)]
    (workdir / "metrics.jsonl").write_text("".join(lines))
    arrays = {"kernel": np.full((2, 3), kernel, np.float32), "bias": np.zeros(3, np.float16)}
    safetensors.numpy.save_file(arrays, workdir / "checkpoints" / str(step) / "model" / "model.safetensors")
    older = {"kernel": np.zeros((2, 3), np.float32)}
    safetensors.numpy.save_file(older, workdir / "checkpoints" / "5" / "model" / "model.safetensors")
    return workdir


@pytest.mark.parametrize(
    ("new", "difference"),
    [
        ({"a": {"loss": 1.0}, "b": [1, 2]}, None),
        ({"a": {"loss": 1.0}}, "b: [1, 2] -> absent"),
        ({"a": {"loss": 1.0}, "b": [1, 2], "c": 3}, "c: absent -> 3"),
        ({"a": {"loss": float(np.nextafter(1, 2))}, "b": [1, 2]}, "a loss: 1.0 -> 1.0000000000000002"),
        ({"a": {"loss": 1}, "b": [1, 2]}, "a loss: 1.0 -> 1"),
        ({"a": {"loss": None}, "b": [1, 2]}, "a loss: 1.0 -> None"),
        ({"a": {}, "b": [1, 2]}, "a loss: 1.0 -> absent"),
        ({"a": {"loss": 1.0}, "b": [1, 3]}, "b[1]: 2 -> 3"),
        ({"a": {"loss": 1.0}, "b": [1, 2, 3]}, "b: 2 entries -> 3"),
    ],
)
def test_the_first_difference_is_told(new, difference):
    old = {"a": {"loss": 1.0}, "b": [1, 2]}
    assert comparison.first_difference(old, new) == difference


def test_bytes_are_compared_bit_by_bit():
    assert comparison.first_difference(b"abc", b"abc") is None
    assert comparison.first_difference(b"abcd", b"aBcD") == "2 of 4 bytes, first at 1"
    assert comparison.first_difference(b"abc", b"ab") == "3 bytes -> 2 bytes"


def test_what_failed_or_is_absent_on_both_sides_differs():
    same = comparison.Failed("no disk")
    assert dict(comparison.compare({"x": same}, {"x": same})) == {"x": "failed (no disk) -> failed (no disk)"}
    assert dict(comparison.compare({"x": 1, "y": 2}, {"x": 1})) == {"x": None, "y": "2 -> absent"}


def test_metrics_of_every_step_are_compared_and_speeds_are_not(tmp_path):
    run = write_run(tmp_path / "run")
    metrics = comparison.read_metrics(run, 2)
    assert metrics["step 2"] == {"loss": 1.25, "images_per_second": "measured"}
    other = copy.deepcopy(metrics)
    del other["step 2"]["images_per_second"]
    assert comparison.first_difference(metrics, other) == "step 2 images_per_second: measured -> absent"
    with pytest.raises(ValueError, match="does not hold the steps 1 to 3 in order"):
        comparison.read_metrics(run, 3)
    (run / "metrics.jsonl").rename(run / "metrics.txt")
    with pytest.raises(ValueError, match=r"0 files \*\.jsonl with a loss"):
        comparison.read_metrics(run, 2)


def test_parameters_of_the_newest_checkpoint_are_compared(tmp_path):
    old = comparison.read_parameters(write_run(tmp_path / "old"))
    assert old["kernel"]["shape"] == [2, 3]
    assert comparison.first_difference(old, comparison.read_parameters(write_run(tmp_path / "same"))) is None
    nearly = write_run(tmp_path / "nearly", kernel=np.nextafter(np.float32(0.5), np.float32(1)))
    difference = comparison.first_difference(old, comparison.read_parameters(nearly))
    assert difference == "kernel bytes: 6 of 24 bytes, first at 0"
    longer = comparison.read_parameters(write_run(tmp_path / "longer", step=12))
    assert comparison.first_difference(old, longer) == "of: step 10 -> step 12"
    with pytest.raises(ValueError, match=r"no model\.safetensors"):
        comparison.read_parameters(tmp_path / "absent")


def test_pixels_are_compared_and_metadata_is_not(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    pixels, texts = np.zeros((4, 4, 3), np.uint8), PngInfo()
    texts.add_text("i1", "{}")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.png", pnginfo=texts)
    pixels[3, 3, 2] = 1
    Image.fromarray(pixels).save(tmp_path / "c.png")
    a, b, c = (comparison.read_picture(tmp_path / f"{name}.png") for name in "abc")
    assert comparison.first_difference(a, b) is None
    assert comparison.first_difference(a, c) == "pixels: 1 of 48 bytes, first at 47"


def write_report(path, *cases):
    body = "".join(f'<testcase name="{name}">{inside}</testcase>' for name, inside in cases)
    path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    return path


def test_golden_tests_are_counted_and_none_may_fail(tmp_path):
    report = tmp_path / "report.xml"
    both = comparison.read_outcomes(write_report(report, ("a", ""), ("b[1]", ""), ("c", "<skipped/>")))
    assert both == {"a passed": 1, "b[1] passed": 1, "c skipped": 1}
    assert comparison.count_outcomes(both) == {"passed": 2, "skipped": 1}
    fewer = comparison.read_outcomes(write_report(report, ("a", ""), ("c", "<skipped/>")))
    assert comparison.first_difference(both, fewer) == "b[1] passed: 1 -> absent"
    with pytest.raises(ValueError, match="1 tests failed, 1 passed: b"):
        comparison.read_outcomes(write_report(report, ("a", ""), ("b", "<error/>")))
    with pytest.raises(ValueError, match="no test marked golden passed"):
        comparison.read_outcomes(write_report(report))


def test_flags_are_equal_and_no_other_environment_leaks_in():
    environment = comparison.common_environment({"PATH": "/bin", "VIRTUAL_ENV": "x", "PYTHONPATH": "y"})
    assert environment == {"PATH": "/bin", "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    assert comparison.common_environment({"XLA_FLAGS": "--a"})["XLA_FLAGS"] == "--a"


def test_an_environment_of_another_checkout_is_refused(tmp_path):
    package = tmp_path / "packages" / "i1-hooks" / "src" / "i1_hooks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    environment = comparison.common_environment(comparison.os.environ)
    with pytest.raises(ValueError, match=r"imports i1_hooks from .*; run uv sync in"):
        comparison.libraries(tmp_path, Path(sys.executable), environment)
    (package.parent / "i1_absent").mkdir()
    (package.parent / "i1_absent" / "__init__.py").write_text("")
    with pytest.raises(ValueError, match="imports i1_absent from nowhere; run uv sync in"):
        comparison.libraries(tmp_path, Path(sys.executable), environment)
    found = comparison.libraries(Path(__file__).resolve().parents[1], Path(sys.executable), environment)
    assert found.keys() == set(comparison.LIBRARIES)
