"""Headless Chromium, driven through its debugging protocol."""

import base64
import contextlib
import itertools
import json
import subprocess
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

SECONDS = 120
"""After which a page that does not do what is expected fails its test."""


class Browser:
    """One page of a browser.

    Attributes:
        problems: errors that the page wrote to its console, and violations of its policy.
    """

    def __init__(self, command, folder, *, width, height):
        self.problems = []
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()
        self._process = self._stack.enter_context(
            subprocess.Popen(
                [
                    command,
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--remote-debugging-port=0",
                    f"--user-data-dir={folder / 'profile'}",
                    f"--window-size={width},{height}",
                    "about:blank",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        self._stack.callback(self._process.terminate)
        port_file = folder / "profile" / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and len(port_file.read_text().split()) == 2)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self._socket = self._stack.enter_context(connect(page["webSocketDebuggerUrl"], max_size=2**26))
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._send("Emulation.setDeviceMetricsOverride", **size)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._stack.close()

    def _send(self, method, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(SECONDS))
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"]["text"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(message["params"]["exceptionDetails"]["text"])
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def open(self, address):
        self._send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        """Returns the value of an expression in the page."""
        result = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, script):
        wait_until(lambda: self.run(script), lambda: f"{script}: {self.run('document.body.innerText')}")

    def type(self, text):
        self._send("Input.insertText", text=text)

    def press(self, key):
        codes = {"Enter": (13, "\r"), "Escape": (27, "")}
        code, text = codes[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self._send("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, path):
        shot = self._send("Page.captureScreenshot", format="png")
        Path(path).write_bytes(base64.b64decode(shot["data"]))


def wait_until(condition, tell=lambda: "nothing happened"):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.05)
