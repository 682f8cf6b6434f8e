import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent


def goldens(pattern: str) -> list[Path]:
    """Files of one kind in the folder of goldens, this package's copies by default."""
    folder = Path(os.environ.get("I1_GOLDENS") or HERE / "goldens")
    return sorted(folder.glob(pattern))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is not None and "golden_file" in metafunc.fixturenames:
        files = goldens(marker.kwargs["pattern"])
        assert files, f"no goldens {marker.kwargs['pattern']}"
        metafunc.parametrize("golden_file", files, ids=lambda path: path.name)


def encode(pixels: np.ndarray, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind)
    return file.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Makes an encoded picture of one grey value."""

    def make(value: int, height: int = 20, width: int = 24, kind: str = "png") -> bytes:
        return encode(np.full((height, width, 3), value, np.uint8), kind)

    return make
