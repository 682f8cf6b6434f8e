import json
import os
import subprocess
import sys

import pytest
from i1_hooks import UserError, set_registry
from i1_hooks.cli import main, split_global_flags

COMMANDS = """
import sys
from i1_hooks import Component, UserError, hookimpl

def echo(argv):
    print(argv)
    return 0

def user(argv):
    raise UserError("width must be\\nat least 1")

def bug(argv):
    raise KeyError("lost")

def stop(argv):
    raise KeyboardInterrupt

def leave(argv):
    sys.exit({"none": None, "text": "bad thing", "two": 2}[argv[0]])

@hookimpl
def i1_commands():
    return [Component(n, f"{__name__}:{n}", f"does {n}") for n in ("echo", "user", "bug", "stop", "leave")]
"""


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "some_commands.py"
    file.write_text(COMMANDS)
    return f"--plugin={file}"


@pytest.fixture(autouse=True)
def fresh_registry():
    set_registry(None)
    yield
    set_registry(None)


def test_help_lists_every_command(plugin, capsys):
    assert main([plugin, "--help"]) == 0
    out = capsys.readouterr().out
    assert "  echo     does echo\n" in out
    assert "  plugins  " in out
    assert out.startswith("usage: i1 ")


def test_no_command_shows_help(capsys):
    assert main([]) == 0
    assert "usage: i1" in capsys.readouterr().out


def test_version(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"i1 {version('i1-hooks')}\n"


def test_arguments_reach_the_command_without_the_global_flags(plugin, capsys):
    assert main(["echo", "a", plugin, "--x", "--debug", "--", "--debug", "--plugin"]) == 0
    assert capsys.readouterr().out == "['a', '--x', '--', '--debug', '--plugin']\n"


def test_split_global_flags(tmp_path):
    files, rest = split_global_flags(["a", "--plugin", "x.py", "--plugin=y.py", "--plugins"])
    assert [str(file) for file in files] == ["x.py", "y.py"]
    assert rest == ["a", "--plugins"]
    with pytest.raises(UserError, match="--plugin needs a file"):
        split_global_flags(["a", "--plugin"])


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["user"], 2, "i1: error: width must be at least 1"),
        (["bug"], 1, "i1: internal error: KeyError: 'lost'; run again with --debug for the traceback"),
        (["stop"], 1, "i1: interrupted"),
        (["leave", "text"], 1, "bad thing"),
        (["ecko"], 2, "i1: error: unknown command 'ecko'; did you mean 'echo'? choices: "),
        (["--verson"], 2, "i1: error: unknown option '--verson'; did you mean '--version'? choices: "),
        (
            ["plugins", "--jsn"],
            2,
            "i1: error: unknown option of `i1 plugins` '--jsn'; did you mean '--json'? ",
        ),
        (["plugins", "--js=1"], 2, "i1: error: unknown option of `i1 plugins` '--js'"),
        (["plugins", "adapters", "more"], 2, "i1: error: i1 plugins: unexpected argument 'more'; "),
        (["plugins", "--json=x"], 2, "i1: error: i1 plugins: argument --json: ignored explicit argument 'x'"),
        (["--plugin"], 2, "i1: error: --plugin needs a file"),
        (
            ["--plugin=absent.py", "echo"],
            2,
            "i1: error: plugin 'i1_plugin_absent' of absent.py failed to load: ",
        ),
        (
            ["plugins", "adaptors"],
            2,
            "i1: error: unknown kind of component 'adaptors'; did you mean 'adapters'",
        ),
    ],
)
def test_errors_are_one_line(plugin, capsys, arguments, status, line):
    assert main([plugin, *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(("argument", "status"), [("none", 0), ("two", 2)])
def test_exit_status_of_commands_that_exit(plugin, argument, status):
    assert main([plugin, "leave", argument]) == status


@pytest.mark.parametrize("command", ["user", "bug"])
def test_debug_shows_the_traceback(plugin, capsys, command):
    assert main([plugin, command, "--debug"]) in (1, 2)
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "some_commands.py" in err
    assert "run again" not in err


def test_a_plugin_file_does_not_outlive_its_command_line(plugin, capsys):
    assert main([plugin, "echo"]) == 0
    assert main(["echo"]) == 2


def test_plugins_as_json(plugin, capsys):
    assert main(["plugins", "--json", "commands", plugin]) == 0
    listing = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in listing["components"]}
    assert {row["kind"] for row in rows.values()} == {"commands"}
    assert rows["plugins"]["distribution"] == "i1-hooks"
    assert rows["echo"]["distribution"] == "some_commands.py"
    assert rows["echo"]["config"] == "i1_plugin_some_commands:echo"
    assert listing["failures"] == []


def test_plugins_as_text(plugin, capsys):
    assert main(["plugins", "commands", plugin]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "commands: subcommands of `i1`"
    assert any(line.split()[:2] == ["echo", "some_commands.py"] for line in lines)


def install(folder, name, version, entry_points):
    """Writes what an installed distribution leaves behind."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[i1]\n{entry_points}\n")


def i1(folder, *arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(folder), **variables}
    return subprocess.run(
        [sys.executable, "-m", "i1_hooks", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=120,
    )


def test_installed_distribution_is_found(tmp_path):
    (tmp_path / "stranger.py").write_text(COMMANDS)
    install(tmp_path, "i1-stranger", "3.1", "stranger = stranger")
    done = i1(tmp_path, "plugins", "--json", "commands")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["components"]}
    assert (rows["echo"]["distribution"], rows["echo"]["version"]) == ("i1-stranger", "3.1")
    done = i1(tmp_path, "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "['hello']\n")


def test_broken_installed_plugin_warns_and_goes_on_unless_strict(tmp_path):
    (tmp_path / "stranger.py").write_text("import no_such_module")
    install(tmp_path, "i1-stranger", "3.1", "strange = stranger")
    done = i1(tmp_path, "--version")
    line = (
        "i1: warning: plugin 'strange' of i1-stranger failed to load: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
    )
    assert (done.returncode, done.stderr) == (0, line)
    done = i1(tmp_path, "--version", I1_STRICT_PLUGINS="1")
    assert (done.returncode, done.stderr) == (2, line.replace("warning", "error"))
    done = i1(tmp_path, "doctor", "--json", JAX_PLATFORMS="cpu")
    assert done.returncode == 0
    assert "no_such_module" in json.dumps(json.loads(done.stdout)["problems"])


def test_two_installed_distributions_with_one_entry_point_name(tmp_path):
    (tmp_path / "stranger.py").write_text("")
    (tmp_path / "other.py").write_text("")
    install(tmp_path, "i1-stranger", "3.1", "same = stranger")
    install(tmp_path, "z-other", "1", "same = other")
    done = i1(tmp_path, "plugins")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "i1: warning: one name for plugins: plugin 'same' of i1-stranger and plugin 'same' of z-other; "
    )
    assert done.stderr.count("\n") == 1


def test_an_installed_plugin_cannot_shadow_a_built_in(tmp_path):
    text = COMMANDS.replace('"echo"', '"doctor"').replace("def echo", "def doctor")
    (tmp_path / "stranger.py").write_text(text)
    install(tmp_path, "a-stranger", "3.1", "strange = stranger")
    done = i1(tmp_path, "--help")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "i1: warning: command 'doctor' is offered by plugin 'hooks' of i1-hooks and plugin 'strange' of "
        "a-stranger; that of i1-hooks is used"
    )
    assert "a-stranger" not in done.stdout


def test_output_to_a_closed_pipe_is_quiet(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "i1_hooks", "plugins", "--json"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr
