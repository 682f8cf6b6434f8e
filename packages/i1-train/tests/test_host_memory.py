import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from i1_train.host_memory import keep_host_memory
if sys.argv[1] == "keep":
    assert keep_host_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(4_000_000)
before = faults()
for _ in range(20):
    np.ones(4_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_large_blocks_are_mapped_once():
    kept, mapped = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, check=True).stdout)
        for mode in ("keep", "default")
    )
    assert kept < mapped / 4
