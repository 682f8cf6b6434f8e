"""`i1 serve` for tests."""

import json
import re
import subprocess
import sys
import threading

import httpx2 as httpx

COMMAND = [sys.executable, "-c", "import sys; from i1_hooks.cli import main; sys.exit(main())", "serve"]


class Server:
    """`i1 serve` in a process of its own."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise AssertionError(f"{line!r}, {self.process.stderr.read()}")
        self.address = found.group()
        self.log = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.client = httpx.Client(base_url=self.address, timeout=300)

    def _read(self):
        self.log.extend(self.process.stderr)

    def generate(self, prompt="a red circle", **fields):
        return self.client.post("/v1/images/generations", json=body(prompt, **fields))

    def end(self):
        """Ends what is left of it, after a test that failed too."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self):
        self._reader.join(10)
        self.client.close()
        self.process.stdout.close()
        self.process.stderr.close()

    def stop(self):
        self.client.close()
        self.process.terminate()
        status = self.process.wait(60)
        self._close()
        return status


def body(prompt="a red circle", **fields):
    return {"prompt": prompt, "num_inference_steps": 2, "size": "64x64", **fields}


def read_events(response):
    """Yields the data of server-sent events as they arrive."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))
