import json
import sys
from pathlib import Path

import pytest
from i1_hooks import Registry, doctor, machine
from i1_hooks.cli import main
from i1_hooks.import_cost import import_cost


@pytest.fixture
def facts(tmp_path):
    folder = {"path": str(tmp_path), "exists": True, "writable": True, "size_bytes": 0, "set_by": " with X"}
    return {
        "versions": {"jax": "1", "i1-hooks": "1", "i1-model": "1"},
        "devices": {"found": [], "error": None, "hardware": {}},
        "folders": {"cache": {**folder, "free_bytes": 2**40}},
        "failures": [],
        "skipped": [],
        "import_costs": [],
    }


def problems(facts):
    return [item["problem"] for item in doctor.find_problems(facts)]


def test_report_as_json(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret-value")
    monkeypatch.setenv("JAX_SOMETHING", "1")
    assert main(["doctor", "--json"]) == 0
    text = capsys.readouterr().out
    report = json.loads(text)
    assert report["versions"]["i1-hooks"]
    assert report["memory"]["total_bytes"] > 0
    assert report["environment"]["JAX_SOMETHING"] == "1"
    assert "secret-value" not in text
    assert all(item["fix"] for item in report["problems"])


def test_report_as_text(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for heading in ("platform", "versions", "devices", "memory", "folders", "plugins"):
        assert f"{heading}\n" in out


def test_without_jax(monkeypatch):
    real = machine.version_of
    monkeypatch.setattr(machine, "version_of", lambda name: None if name.startswith("jax") else real(name))
    monkeypatch.setitem(sys.modules, "jax", None)
    report = doctor.examine(Registry())
    assert report["devices"]["found"] == []
    assert any("jax is not installed" in item["problem"] for item in report["problems"])
    assert "none: jax is not installed" in doctor.as_text(report)


def test_jax_that_fails_is_reported(monkeypatch):
    def fail(name):
        raise RuntimeError("no\nbackend")

    monkeypatch.setattr(machine, "version_of", lambda name: "1")
    monkeypatch.setattr(machine.importlib, "import_module", fail)
    assert machine.devices()["error"] == "RuntimeError: no backend"


def test_no_problem(facts):
    assert problems(facts) == []


def test_versions_out_of_step(facts):
    facts["versions"]["i1-model"] = "2"
    assert problems(facts) == ["i1 packages of different versions: i1-hooks 1, i1-model 2"]


def test_idle_accelerator(facts):
    facts["devices"]["found"] = [{"platform": "cpu"}]
    facts["devices"]["hardware"] = {"an NVIDIA GPU": "cuda13"}
    (item,) = doctor.find_problems(facts)
    assert item["problem"] == "an NVIDIA GPU is present but jax uses the CPU"
    assert "jax[cuda13]" in item["fix"]


def test_folder_problems(facts):
    facts["folders"]["cache"]["free_bytes"] = 2**30
    facts["folders"]["other"] = {**facts["folders"]["cache"], "writable": False}
    found = problems(facts)
    assert found[0].endswith("has 1.0 GiB free")
    assert found[1].endswith("is not writable")


def test_failed_plugin_and_failed_device(facts):
    facts["failures"] = ["plugin 'x' of y failed to load: Z"]
    facts["devices"]["error"] = "E"
    assert problems(facts) == ["jax finds no device: E", "plugin 'x' of y failed to load: Z"]


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "entry").write_bytes(b"12345")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "jax"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "absent" / "deep"))
    found = machine.folders()
    assert found["jax compilation cache"]["size_bytes"] == 5
    assert not found["Hugging Face cache"]["exists"]
    assert found["Hugging Face cache"]["free_bytes"] > 0


def test_a_compilation_cache_that_is_off(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    assert "jax compilation cache" not in machine.folders()


def test_a_file_where_a_folder_should_be(monkeypatch, tmp_path):
    Path(tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    assert not machine.folders()["Hugging Face cache"]["writable"]


def test_extras_name_what_is_missing(monkeypatch):
    monkeypatch.setattr(machine, "DISTRIBUTIONS", ("i1-hooks",))
    lines = [
        "pluggy>=1",
        "no-such-thing>=2 ; extra == 'fast'",
        "pluggy; extra == 'fast'",
        "x; extra == 'faster'",
    ]
    monkeypatch.setattr(machine.importlib.metadata, "requires", lambda name: lines)

    class Metadata:
        def get_all(self, name):
            return ["fast"]

    monkeypatch.setattr(machine.importlib.metadata, "metadata", lambda name: Metadata())
    (extra,) = machine.extras()
    assert extra["missing"] == ["no-such-thing"]
    assert extra["install"] == "pip install 'i1-hooks[fast]'"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("HF_TOKEN", "abc", "(set)"),
        ("I1_API_KEY", "abc", "(set)"),
        ("hf_auth", "abc", "(set)"),
        ("NVIDIA_PASSPHRASE", "abc", "(set)"),
        ("HF_ENDPOINT", "https://user:word@host/x", "https://(set)@host/x"),
        ("HF_ENDPOINT", "https://host/x?token=abc&b=1", "https://host/x?token=(set)&b=1"),
        ("I1_HEADER", "Authorization: Bearer", "Authorization: Bearer"),
        ("I1_NOTE", "use hf_abcdefghijkl now", "use (set) now"),
        ("JAX_PLATFORMS", "cuda,cpu", "cuda,cpu"),
        ("XLA_FLAGS", "--xla_force_host_platform_device_count=8", "--xla_force_host_platform_device_count=8"),
        ("CUDA_VISIBLE_DEVICES", "0,1", "0,1"),
    ],
)
def test_secrets_of_the_environment_are_never_shown(monkeypatch, name, value, shown):
    monkeypatch.setattr(machine, "VARIABLES", ("HF_", "hf_", "I1_", "JAX_", "XLA_", "NVIDIA_", "CUDA_"))
    monkeypatch.setenv(name, value)
    assert machine.environment()[name] == shown


HEAVY_PLUGIN = """
import HEAVY_PACKAGE
from i1_hooks import Component, hookimpl

@hookimpl
def i1_adapters():
    return [Component("slow", "json:JSONDecoder", "slow to import")]
"""


@pytest.mark.parametrize("package", ["numpy", "jax"])
def test_a_plugin_that_imports_something_heavy_is_named_with_its_distribution(
    package, facts, tmp_path, monkeypatch
):
    (tmp_path / "slow_plugin.py").write_text(HEAVY_PLUGIN.replace("HEAVY_PACKAGE", package))
    info = tmp_path / "slow_dist-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-dist\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[i1]\nslow = slow_plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    cost = import_cost("slow", "slow-dist")
    assert cost is not None
    assert package in cost["heavy"]
    assert cost["seconds"] > 0
    light = import_cost("hooks", "i1-hooks")
    assert light is not None
    assert light["heavy"] == []
    facts["import_costs"] = [cost, light]
    (item,) = doctor.find_problems(facts)
    assert f"plugin 'slow' of slow-dist imports {', '.join(cost['heavy'])} when it is" in item["problem"]
    assert "`i1 plugins disable slow`" in item["fix"]


def test_a_plugin_that_fails_has_no_cost():
    assert import_cost("absent", "no-dist") is None


def test_contested_names_are_problems(facts):
    facts["skipped"] = ["adapter 'x' is offered by a and b; none is used: uninstall or rename one, or more"]
    (item,) = doctor.find_problems(facts)
    assert item == {
        "problem": "adapter 'x' is offered by a and b; none is used",
        "fix": "uninstall or rename one, or more",
    }
