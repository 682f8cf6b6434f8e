"""Settings of the tests that cross packages."""

import os

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """Keeps compiled programs in a folder of this session, for this process and those it starts."""
    folder = str(tmp_path_factory.mktemp("compiled"))
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", folder)
    compilation_cache.reset_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "JAX_COMPILATION_CACHE_DIR", folder)
        yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()
