import os
import subprocess
import sys
from pathlib import Path

CODE = """
import jax, i1_sample, i1_sample.pipeline
assert jax.config.jax_compilation_cache_dir == {before!r}
from i1_sample.compilation_cache import enable_compilation_cache
print(enable_compilation_cache(), jax.config.jax_compilation_cache_dir)
"""


def chosen(before: str | None, **environment: str) -> list[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    result = subprocess.run(
        [sys.executable, "-c", CODE.format(before=before)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_the_default_folder_is_set_on_demand_not_on_import(tmp_path: Path) -> None:
    folder = str(tmp_path / "i1" / "jax")
    assert chosen(None, XDG_CACHE_HOME=str(tmp_path)) == [folder, folder]


def test_programs_are_kept_even_when_something_was_compiled_before(tmp_path: Path) -> None:
    code = (
        "import jax; jax.jit(lambda x: x + 1)(1.0)\n"
        "from i1_sample.compilation_cache import enable_compilation_cache\n"
        "folder = enable_compilation_cache(); jax.jit(lambda x: x * 2)(1.0)\n"
        "print(len(list(folder.iterdir())) > 0)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\n"


def test_a_given_folder_is_kept(tmp_path: Path) -> None:
    given = str(tmp_path / "mine")
    assert chosen(given, JAX_COMPILATION_CACHE_DIR=given) == [given, given]
