"""A local server that speaks the OpenAI protocol and misbehaves as told."""

import base64
import contextlib
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

PLAIN = "plain"


class Server(ThreadingHTTPServer):
    """Answers with `reply(text, picture)`, and before that with each of `faults`, one per call."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, reply, faults=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.faults = reply, list(faults)
        self.bodies, self.keys, self.lock = [], [], threading.Lock()
        self.status = None  # a status that every call gets

    def handle_error(self, request, client_address):
        """Says nothing of clients that left, which is what some tests are about."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """Says nothing."""

    def send(self, status, data, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append((self.path, body))
            server.keys.append(self.headers.get("Authorization"))
            fault = server.faults.pop(0) if server.faults else PLAIN
        if server.status is not None:
            return self.send(server.status, b'{"error": "told to"}')
        if fault == "rate":
            return self.send(429, b'{"error": "slow down"}', [("Retry-After", "0")])
        if fault == "error":
            return self.send(500, b"oops\nagain")
        if fault == "refuse":
            return self.send(400, b'{"error": "picture too large"}')
        if fault == "drop":
            self.close_connection = True
            return self.connection.close()
        if fault == "html":
            return self.send(200, b"<html>a proxy</html>")
        if fault == "short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
            return None
        if fault == "slow":
            time.sleep(1.5)
        if fault == "empty":
            return self.send(200, json.dumps({"choices": [{"message": {"content": ""}}]}).encode())
        if fault == "other":
            return self.send(200, b'{"object": "list", "data": []}')
        if self.path.endswith("/images/generations"):
            data = server.reply(body["prompt"], body)
            return self.send(200, json.dumps({"data": [{"b64_json": data}]}).encode())
        picture, text = body["messages"][0]["content"]
        png = base64.b64decode(picture["image_url"]["url"].partition(",")[2])
        reply = server.reply(text["text"], np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))
        return self.send(200, json.dumps({"choices": [{"message": {"content": reply}}]}).encode())


@contextlib.contextmanager
def serving(reply, faults=()):
    """Runs a server in a thread of its own."""
    server = Server(reply, faults)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
