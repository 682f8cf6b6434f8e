import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
import numpy as np
from i1_train.process.host_memory import keep_host_memory
if sys.argv[1] == "keep":
    assert keep_host_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    np.ones(SIZE)
    before = faults()
    for _ in range(10):
        np.ones(SIZE)
    print(faults() - before)
SIZE = 10_000_000  # 80 MB: more than an arena of a thread may hold
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_large_blocks_of_a_thread_are_mapped_once():
    kept, mapped = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, check=True).stdout)
        for mode in ("keep", "default")
    )
    assert kept < mapped / 4
