import json
import subprocess
import sys

import pytest
from i1_hooks import UserError, cli
from i1_hooks.disabled import VARIABLE, config_file, disabled_plugins

PLUGIN = """
from i1_hooks import Component, hookimpl

@hookimpl
def i1_adapters():
    return [Component(name, "json:JSONDecoder", "a decoder") for name in NAMES]

@hookimpl
def i1_run_finished():
    print("finished", __name__)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one plugin, as pip would leave it behind."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(VARIABLE, raising=False)
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    modules = []

    def add(distribution, plugin, *names):
        module = distribution.replace("-", "_")
        modules.append(module)
        (site / f"{module}.py").write_text(f"NAMES = {names!r}\n{PLUGIN}")
        info = site / f"{module}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[i1]\n{plugin} = {module}\n")

    yield add
    for module in modules:
        sys.modules.pop(module, None)


def run(capsys, *arguments):
    """Runs `i1` as a new process would, and returns status, output and errors."""
    from i1_hooks import set_registry

    set_registry(None)
    try:
        status = cli.main(arguments)
    finally:
        set_registry(None)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def names(capsys, *arguments):
    status, out, _ = run(capsys, "plugins", "adapters", "--json")
    assert status == 0
    return [row["name"] for row in json.loads(out)["components"]]


def test_one_component_name_of_two_distributions_is_nobodys_and_all_else_works(install, capsys):
    install("first-dist", "first", "shared", "one")
    install("second-dist", "second", "shared", "two")
    found = names(capsys)
    assert {"one", "two"} <= set(found)
    assert "shared" not in found
    line = (
        "adapter 'shared' is offered by plugin 'first' of first-dist and plugin 'second' of second-dist; "
        "none is used: uninstall or rename one, or `i1 plugins disable first` or `i1 plugins disable second`"
    )
    status, out, error = run(capsys, "plugins")
    assert status == 0
    assert error == f"i1: warning: {line}\n"
    assert f"skipped: {line}" in out
    assert run(capsys, "--help")[0] == 0


def test_the_advice_about_a_contested_component_works(install, capsys):
    install("first-dist", "first", "shared", "one")
    install("second-dist", "second", "shared", "two")
    assert run(capsys, "plugins", "disable", "first")[:2] == (0, "disabled first\n")
    assert {"shared", "two"} <= set(names(capsys))
    assert "one" not in names(capsys)
    status, out, error = run(capsys, "plugins")
    assert (status, error) == (0, "")
    assert "disabled: first of first-dist (`i1 plugins enable first`)" in out
    assert run(capsys, "plugins", "enable", "first")[:2] == (0, "enabled first\n")
    assert "one" in names(capsys)


def test_one_plugin_name_of_two_distributions_is_told_apart_by_distribution(install, capsys):
    install("first-dist", "same", "one")
    install("second-dist", "same", "two")
    assert not {"one", "two"} & set(names(capsys))
    _, _, error = run(capsys, "plugins")
    assert error == (
        "i1: warning: one name for plugins: plugin 'same' of first-dist and plugin 'same' of second-dist; "
        "none is used: uninstall or rename one, or `i1 plugins disable first-dist` "
        "or `i1 plugins disable second-dist`\n"
    )
    assert run(capsys, "plugins", "disable", "first-dist")[0] == 0
    assert "two" in names(capsys)
    assert run(capsys, "plugins")[2] == ""


def test_strict_plugins_make_both_an_error(install, capsys, monkeypatch):
    install("first-dist", "first", "shared")
    install("second-dist", "second", "shared")
    monkeypatch.setenv("I1_STRICT_PLUGINS", "1")
    status, _, error = run(capsys, "plugins")
    assert status == 2
    assert error.startswith("i1: error: adapter 'shared' is offered by plugin 'first'")


def test_a_name_of_i1_stays_with_i1(install, capsys):
    install("first-dist", "hooks", "one")
    install("second-dist", "second", "transformer")
    _, out, error = run(capsys, "plugins", "adapters", "--json")
    found = {row["name"]: row["distribution"] for row in json.loads(out)["components"]}
    assert found.get("transformer") == "i1-model"
    assert "one" not in found
    assert "that of i1-hooks is used: uninstall or rename one, or `i1 plugins disable first-dist`\n" in error
    assert "that of i1-model is used: uninstall or rename one, or `i1 plugins disable second`\n" in error


def test_a_name_of_a_disabled_plugin_says_so(install, capsys, tmp_path):
    install("first-dist", "first", "one")
    assert run(capsys, "plugins", "disable", "first")[0] == 0
    arguments = ["train", "scenes-tiny", "--workdir", str(tmp_path / "run"), "--set", "model.adapter=one"]
    status, _, error = run(capsys, *arguments)
    assert status == 2
    assert "model.adapter: unknown adapter 'one'" in error
    assert error.endswith("plugin 'first' of first-dist is disabled: `i1 plugins enable first`\n")


def test_a_contested_name_says_who_claims_it_when_it_is_used(install, capsys, tmp_path):
    install("first-dist", "first", "shared")
    install("second-dist", "second", "shared")
    arguments = ["train", "scenes-tiny", "--workdir", str(tmp_path / "run"), "--set", "model.adapter=shared"]
    status, _, error = run(capsys, *arguments)
    assert status == 2
    assert (
        "i1: error: model.adapter: adapter 'shared' is offered by plugin 'first' of first-dist and" in error
    )


def test_the_variable_disables_for_one_command(install, capsys, monkeypatch):
    install("first-dist", "first", "one")
    install("second-dist", "second", "two")
    monkeypatch.setenv(VARIABLE, "first, second-dist,,absent")
    assert not {"one", "two"} & set(names(capsys))
    assert not config_file().exists()
    status, _, error = run(capsys, "plugins", "enable", "first")
    assert (status, error) == (
        2,
        "i1: error: plugin 'first' is disabled by the variable I1_DISABLED_PLUGINS: take it out there\n",
    )
    monkeypatch.setenv(VARIABLE, "second")
    assert "one" in names(capsys)


def test_a_disabled_plugin_is_not_even_imported(install, capsys):
    install("first-dist", "first", "one")
    assert run(capsys, "plugins", "disable", "first-dist")[0] == 0
    sys.modules.pop("first_dist", None)
    names(capsys)
    assert "first_dist" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["disable", "frist"], "unknown plugin 'frist'; did you mean 'first'"),
        (["enable", "first"], "unknown disabled plugin 'first'; choices: none"),
        (["disable", "hooks"], "plugin 'hooks' cannot be disabled: it holds `i1 plugins`"),
        (["disable", "i1-hooks"], "plugin 'i1-hooks' cannot be disabled"),
        (["disable"], "i1 plugins disable: the following arguments are required: NAME"),
        (["disabel", "first"], "i1 plugins: unexpected argument 'first'"),
        (["disabel"], "unknown kind of component 'disabel'; did you mean 'disable'"),
    ],
)
def test_mistakes_are_one_line(install, capsys, arguments, message):
    install("first-dist", "first", "one")
    status, _, error = run(capsys, "plugins", *arguments)
    assert status == 2
    assert message in error
    assert error.count("\n") == 1


def test_the_variable_cannot_disable_the_switch_itself(install, capsys, monkeypatch):
    monkeypatch.setenv(VARIABLE, "hooks")
    status, _, error = run(capsys, "plugins")
    assert (status, error) == (2, "i1: error: plugin 'hooks' cannot be disabled: it holds `i1 plugins`\n")


@pytest.mark.parametrize("content", ["[]", '{"disabled": "first"}', '{"disabled": [1]}', "{", '{"off": []}'])
def test_a_damaged_list_is_named(install, capsys, content):
    config_file().parent.mkdir(parents=True)
    config_file().write_text(content)
    status, _, error = run(capsys, "plugins")
    assert status == 2
    assert error.startswith(f"i1: error: {config_file()}")
    config_file().unlink()
    assert run(capsys, "plugins")[0] == 0


def test_the_list_lies_in_the_users_configuration_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "x"))
    assert config_file() == tmp_path / "x" / "i1" / "plugins.json"
    for relative in ("", "x"):
        monkeypatch.setenv("XDG_CONFIG_HOME", relative)
        assert config_file() == tmp_path / ".config" / "i1" / "plugins.json"
    assert disabled_plugins() == []


def test_a_folder_that_cannot_be_made_points_to_the_variable(install, capsys, monkeypatch, tmp_path):
    install("first-dist", "first", "one")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    status, _, error = run(capsys, "plugins", "disable", "first")
    assert status == 2
    assert "cannot write the list of disabled plugins" in error
    assert error.endswith("use I1_DISABLED_PLUGINS\n")


def test_a_user_error_is_raised_for_a_file_that_claims_a_name(install, tmp_path):
    from i1_hooks.registry import make_registry

    install("first-dist", "first", "shared")
    file = tmp_path / "mine.py"
    file.write_text(f"NAMES = ['shared']\n{PLUGIN}")
    with pytest.raises(
        UserError, match=r"offered twice: by first-dist and by mine\.py; choose another name .*, or"
    ):
        make_registry([file])


def test_a_new_process_reads_the_list(install, capsys, tmp_path, monkeypatch):
    install("first-dist", "first", "one")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    command = [sys.executable, "-m", "i1_hooks", "plugins"]
    subprocess.run([*command, "disable", "first"], check=True, capture_output=True)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "disabled: first of first-dist" in done.stdout
