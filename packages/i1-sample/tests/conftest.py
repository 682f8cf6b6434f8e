import os
import shutil
import sys
from pathlib import Path

import jax
import pytest
from i1_sample import Pipeline
from i1_sample.testing.models import write_tiny_model

sys.path.append(str(Path(__file__).parent))
from published import use_cache, write_cache

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def goldens() -> Path:
    return Path(os.environ.get("I1_GOLDENS") or Path(__file__).parent / "goldens")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def pipeline(model_folder: Path) -> Pipeline:
    return Pipeline.from_pretrained(model_folder)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Hub's cache with the three repositories of i1-3B, in tiny."""
    return write_cache(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def cache(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, in use."""
    return use_cache(monkeypatch, published)


@pytest.fixture
def copied(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, in use."""
    return use_cache(monkeypatch, Path(shutil.copytree(published, tmp_path / "cache")))
