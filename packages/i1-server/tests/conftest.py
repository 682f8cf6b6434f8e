import contextlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from served import Server


@pytest.fixture(scope="session")
def server():
    started = Server("--max-steps", "5000", "--queue", "32")
    yield started
    assert started.stop() == 0, "".join(started.log)


@pytest.fixture
def start_server():
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            started = Server(*arguments)
            stack.callback(started.end)
            return started

        yield start
