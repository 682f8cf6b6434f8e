"""The cache of compiled programs: where it is, and what a full disk cut short."""

import os
import subprocess
import sys

import pytest
from i1_model.ops.compilation_cache import cache_folder, remove_damaged

PROGRAM = """
import sys, warnings
warnings.simplefilter("error")
from i1_model.ops.compilation_cache import enable_compilation_cache
folder = enable_compilation_cache(0.0)
import jax
print(jax.jit(lambda x: (x * 2).sum())(jax.numpy.arange(4.0)), folder)
"""


def run(folder):
    """Compiles a program in a new process with its cache in a folder; a warning fails it."""
    environment = {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PLATFORMS": "cpu", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=300)
    return {file.name: file.read_bytes() for file in folder.glob("*-cache")}


@pytest.mark.parametrize("kept", [0, 100], ids=["empty", "cut"])
def test_a_program_that_a_full_disk_cut_short_is_written_again(tmp_path, kept):
    whole = run(tmp_path)
    assert whole
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content[:kept])
    again = run(tmp_path)
    assert again.keys() == whole.keys()
    assert all(len(again[name]) > kept for name in whole)
    assert remove_damaged(tmp_path) == []


def test_only_programs_since_the_last_check_are_read(tmp_path):
    (tmp_path / "a-cache").write_bytes(b"cut")
    assert remove_damaged(tmp_path) == ["a-cache"]
    assert remove_damaged(tmp_path) == []
    (tmp_path / "other").write_bytes(b"cut")
    assert remove_damaged(tmp_path) == []
    assert (tmp_path / "other").exists()
    assert remove_damaged(tmp_path / "absent") == []


CODE = """
import jax
{before}
assert jax.config.jax_compilation_cache_dir == {given!r}
from i1_model.ops.compilation_cache import enable_compilation_cache
print(enable_compilation_cache(0.0), jax.config.jax_compilation_cache_dir)
jax.jit(lambda x: x * 2)(1.0)
"""


def chosen(given, before="", **environment):
    """Returns the folder that a new process uses, as the call returns it and as jax has it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    code = CODE.format(given=given, before=before)
    environment = {**kept, "JAX_PLATFORMS": "cpu", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("before", ["", "jax.jit(lambda x: x + 1)(1.0)"], ids=["first", "later"])
def test_the_default_folder_is_used_even_when_something_was_compiled_before(tmp_path, monkeypatch, before):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "i1" / "jax"
    assert cache_folder() == folder
    assert chosen(None, before) == [str(folder), str(folder)]
    assert list(folder.glob("*-cache"))


def test_a_given_folder_is_kept(tmp_path):
    given = str(tmp_path / "mine")
    assert chosen(given, JAX_COMPILATION_CACHE_DIR=given) == [given, given]


def test_an_empty_variable_turns_the_cache_off(tmp_path):
    assert chosen("", JAX_COMPILATION_CACHE_DIR="", XDG_CACHE_HOME=str(tmp_path))[0] == "None"
    assert not list(tmp_path.iterdir())
