"""The shapes and dtypes that annotations state are those that solvers and guidances have."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("beartype", reason="checks the annotations")


def test_solvers_and_guidances_keep_to_their_annotations():
    script = Path(__file__).parent / "check_annotations.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
