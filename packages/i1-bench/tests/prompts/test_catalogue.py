"""Prompt files from folders and from a local server."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from i1_bench.prompts import catalogue
from i1_bench.prompts.catalogue import PromptFile, PromptFolder, download, find_folder, published_files
from i1_hooks import UserError

NAME = "geneval/evaluation_metadata.jsonl"


def test_every_benchmark_has_its_files():
    names = published_files()
    assert len(names) == 43
    assert {name.partition("/")[0] for name in names} == {
        *("cvtg-2k", "dpg_bench", "generation", "geneval", "longtext", "prism-bench")
    }
    assert names["prism-bench/judge_templates.json"].url is None
    assert names[NAME].url.endswith("/evaluation_metadata.jsonl")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Says nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves one small file as if it were a published one."""
    text = b'{"prompt": "a"}\n'
    known = PromptFile(
        sha256=hashlib.sha256(text).hexdigest(), size=len(text), url=f"{catalogue.SOURCE}/o/r/{NAME}"
    )
    monkeypatch.setattr(catalogue, "published_files", lambda: {NAME: known})
    served = tmp_path / "served/o/r" / NAME
    served.parent.mkdir(parents=True)
    served.write_bytes(text)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_verified_and_kept(server, tmp_path):
    url, served = server
    assert download(NAME, tmp_path / "cache", source=url) == b'{"prompt": "a"}\n'
    served.unlink()
    assert download(NAME, tmp_path / "cache", source=url) == b'{"prompt": "a"}\n'
    (tmp_path / "cache" / NAME).write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"cannot download .*404.*--prompts DIR or I1_BENCH_PROMPTS"):
        download(NAME, tmp_path / "cache", source=url)


def test_another_version_is_refused_and_not_kept(server, tmp_path):
    url, served = server
    served.write_bytes(b"{}\n")
    with pytest.raises(UserError, match=r"is another version: sha256 [0-9a-f]{16}, 3 bytes"):
        download(NAME, tmp_path / "cache", source=url)
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


def test_a_folder_is_named_by_option_or_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("I1_BENCH_PROMPTS", str(tmp_path))
    assert find_folder("").path == tmp_path
    (tmp_path / "b").mkdir()
    assert find_folder(str(tmp_path / "b")).path == tmp_path / "b"
    monkeypatch.delenv("I1_BENCH_PROMPTS")
    assert find_folder("").path is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no prompt file .*give the folder of all of them with --prompts"),
        (b"\xff\xfe\xff", "another version"),
    ],
)
def test_missing_and_other_files_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "geneval").mkdir()
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(UserError, match=message):
        PromptFolder(path=tmp_path).read(NAME)


def test_the_record_of_files_is_sound():
    for name, known in published_files().items():
        assert len(known.sha256) == 64
        assert known.size > 0
        assert not name.startswith("/")
    assert json.dumps(sorted(published_files()))
