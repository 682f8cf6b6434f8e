import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the modules that several tests share


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a golden test on every file of its kind in `I1_GOLDENS`/bench, or in this package's copies."""
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is not None and "golden_file" in metafunc.fixturenames:
        named = os.environ.get("I1_GOLDENS")
        folder = Path(named) / "bench" if named else HERE / "goldens"
        files = sorted(folder.glob(marker.kwargs["pattern"]))
        assert files, f"no goldens {marker.kwargs['pattern']} in {folder}"
        metafunc.parametrize("golden_file", files, ids=lambda path: path.name)
