import os
import sys
from pathlib import Path

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

HERE = Path(__file__).parent
sys.path.append(str(HERE))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a golden test on every file of its kind, in the folder `I1_GOLDENS` or this package's copies."""
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is not None and "golden_file" in metafunc.fixturenames:
        folder = Path(os.environ.get("I1_GOLDENS") or HERE / "goldens")
        files = sorted(folder.glob(marker.kwargs["pattern"]))
        assert files, f"no goldens {marker.kwargs['pattern']} in {folder}"
        metafunc.parametrize("golden_file", files, ids=lambda path: path.name)
