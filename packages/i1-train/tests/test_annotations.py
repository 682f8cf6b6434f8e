"""The shapes and dtypes that annotations state are those that objectives and schedules have."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("beartype", reason="checks the annotations")


def test_objectives_and_schedules_keep_to_their_annotations():
    script = Path(__file__).parent / "check_annotations.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
