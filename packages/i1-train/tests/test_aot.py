"""Steps compiled for machines that are not there."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from i1_hooks import UserError
from i1_model.compiled.topology import topology_devices
from i1_train.cli import main

MACHINES = 'hardware.machines=[{"name":"v5p-8","data":2,"fsdp":2}]'
COMMAND = ["train", "scenes-tiny", "--compile-only", "--topology", "v5p:2x2x1", "--set", MACHINES]
KEYS = {"fits", "bytes_per_device", "flops", "bytes_accessed", "estimated_seconds", "compile_seconds"}


def test_a_topology_that_does_not_exist_is_one_line():
    with pytest.raises(UserError, match="write the chip and the slice's shape, as in v5p:4x4x4"):
        topology_devices("v5p-128")
    with pytest.raises(UserError, match="unknown chip 'v9x'"):
        topology_devices("v9x:2x2")


def test_without_libtpu_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs libtpu: pip install 'i1-model\[tpu-compile\]'"):
        topology_devices("v5p:2x2x1")


def test_flags_that_belong_together_are_asked_for(capsys):
    for argv in (["scenes-tiny", "--compile-only"], ["scenes-tiny", "--json", "report.json"]):
        with pytest.raises((SystemExit, UserError)):
            main(argv)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
def test_a_small_step_compiles_for_a_tpu_slice(tmp_path):
    report_file = tmp_path / "report.json"
    code = "import sys; from i1_hooks.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *COMMAND, "--json", str(report_file)],
        env={name: value for name, value in os.environ.items() if name != "XLA_FLAGS"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(report_file.read_text())
    assert report.keys() >= KEYS
    assert report["fits"] is True
    assert report["bytes_per_device"].keys() == {"arguments", "temporaries", "peak", "limit"}
    assert report["num_devices"] == 4
    assert report["estimated"]["cycles"]["matrix"] > 0
    assert report["estimated"]["collective_bytes"]["fsdp"] > 0
    assert "estimated step" in done.stdout
