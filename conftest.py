"""Settings of every test of the repository."""

import os

# Tests compile much and compute little: without LLVM's optimisation, compiling takes about half as long.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
