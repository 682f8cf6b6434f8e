"""Settings of every test of the repository."""

import os
import shutil
import signal
import tempfile
from importlib.metadata import version

import pytest

# Tests compile much and compute little: without LLVM's optimisation, compiling takes about half as long.
# JAX 0.10 has two generators of fused loops for CPUs, and the older one compiles a training step in less than
# half the time; later releases have one generator, and end at a flag that they do not know.
_FLAGS = ["--xla_backend_optimization_level=0"]
if version("jaxlib").startswith("0.10."):
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(_FLAGS))

# A shell that runs the tests in the background lets them ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Compiled programs are kept in one folder for all workers and the processes that they start.
_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_made = None if _FOLDER in os.environ else tempfile.mkdtemp(prefix="i1-tests-compiled-")
if _made is not None:
    os.environ[_FOLDER] = _made
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def pytest_unconfigure() -> None:
    """Deletes the folder, in the process that made it."""
    if _made is not None:
        shutil.rmtree(_made, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Returns one worker more than there are processors: some tests wait for processes that they started."""
    return (os.cpu_count() or 1) + 1
