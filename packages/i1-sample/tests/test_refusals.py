"""Repositories and files that cannot be had: one line, status 2, nothing written."""

import errno
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_model.checkpoints.locate import locate_model
from i1_model.checkpoints.stored import StoredModel
from published import ENCODER, MODEL, VAE, snapshot

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
pytest.importorskip("tokenizers", reason="tokenizers is not installed")
COMMAND = ("sample", "a red circle", "--model", MODEL, "--steps", "1", "--offload")


def test_no_room_for_a_download(monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(UserError, match=rf"cannot download {MODEL}: .*No space left on device"):
        locate_model(MODEL)


def test_a_resolution_that_does_not_fit(cache: Path, tmp_path: Path, capsys):
    assert main([*COMMAND, "--output", str(tmp_path / "a.png"), "--resolution", "1000"]) == 2
    assert capsys.readouterr().err.endswith("resolution 1000: use a positive multiple of 16\n")
    assert not list(tmp_path.iterdir())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut_json(path: Path) -> None:
    path.write_text(path.read_text()[:20])


SECOND_SHARD = "model-00002-of-*.safetensors"


@pytest.mark.parametrize(
    ("repository", "name", "damage", "message"),
    [
        (MODEL, "*.pt", cut, "is truncated, corrupted or not a checkpoint"),
        (MODEL, "*.pt", flip, "is truncated, corrupted or not a checkpoint"),
        (ENCODER, SECOND_SHARD, Path.unlink, "lacks model-00002-of-"),
        (ENCODER, SECOND_SHARD, cut, "is truncated or"),
        (ENCODER, "tokenizer.json", cut_json, "is truncated or not a tokenizer"),
        (ENCODER, "config.json", cut_json, "is not JSON"),
        (VAE, "vae/*.safetensors", cut, "is truncated or"),
        (VAE, "vae/config.json", Path.unlink, "has no config.json"),
    ],
)
def test_what_is_damaged_is_one_line_and_leaves_no_picture(
    copied: Path, tmp_path: Path, capsys, monkeypatch, repository, name, damage, message
):
    (path,) = snapshot(copied, repository).glob(name)
    damage(path)
    if damage is not flip:  # which only shows when all is read; whatever else is found before that
        monkeypatch.setattr(StoredModel, "load", None)
    picture = tmp_path / "pictures" / "picture.png"
    status = main([*COMMAND, "--output", str(picture)])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(picture.parent.iterdir())


class Refusing(BaseHTTPRequestHandler):
    """Answers as the Hub does: FLUX is gated, one name is absent, another is broken."""

    def do_GET(self):
        code, status = next(
            answer
            for name, answer in {
                "FLUX": ("GatedRepo", 403),
                "t5gemma": ("GatedRepo", 401),
                "broken": ("", 500),
                "": ("RepoNotFound", 404),
            }.items()
            if name in self.path
        )
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, format, *args):
        del format, args


def test_a_hub_that_refuses(tmp_path: Path):
    """Each refusal in a process of its own settings, as a user meets it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import sys\nfrom i1_hooks import UserError\nfrom i1_model.checkpoints.hub import fetch\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        fetch(name, ['*'], instead='--vae FOLDER')\n"
        "    except UserError as error:\n        print(error)\n"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "0",
    }
    names = [VAE, ENCODER, "me/absent", "me/broken"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, env=environment
    )
    server.shutdown()
    server.server_close()
    gated, encoder, absent, broken = done.stdout.splitlines()
    licence = (
        "accept the FLUX.2-dev Non-Commercial License at https://huggingface.co/black-forest-labs/FLUX.2-dev"
    )
    assert licence in gated
    assert "hf auth login" in gated
    assert "or give --vae FOLDER" in gated
    assert f"accept the Gemma Terms of Use at https://huggingface.co/{ENCODER}" in encoder
    assert "me/absent is neither a folder here nor a repository" in absent
    assert "me/broken (revision main) is neither a folder here nor in the Hub's cache" in broken
