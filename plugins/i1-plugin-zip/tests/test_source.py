import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from i1_data.config import DataConfig
from i1_data.pipeline import make_batches
from i1_data.sources import SourceConfig
from i1_data.testing import SourceSuite
from i1_hooks import UserError, from_dict, to_dict
from i1_plugin_zip.source import ZipSource
from PIL import Image


def png(value):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (value, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    def write(files):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w") as opened:
            for name, data in files.items():
                opened.writestr(name, data)
        return ZipSource(path=str(path))

    return write


GOOD = {
    "b.png": png(2),
    "b.txt": "second\n\n also second \n",
    "a/x.png": png(1),
    "metadata.jsonl": json.dumps({"file_name": "a/x.png", "text": ["first", "again"]}) + "\n\n",
}


def test_records_in_the_order_of_their_names(archive):
    source = archive(GOOD).build()
    assert [record["key"] for record in source] == ["a/x.png", "b.png"]
    assert [record["captions"] for record in source] == [["first", "again"], ["second", "also second"]]
    assert source[0]["image"] == png(1)
    with pytest.raises(IndexError):
        source[2]


def test_the_pipeline_reads_it(archive):
    config = DataConfig(sources=(archive(GOOD),), resolution=8)
    batches = make_batches(config, batch_size=4, seed=0, tokenize=len)
    batch = next(batches)
    batches.close()
    assert batch["image"].shape == (4, 8, 8, 3)
    assert set(np.unique(batch["image"][..., 0])) == {1, 2}
    assert set(batch["key"]) == {"a/x.png", "b.png"}


def test_many_threads_read_the_same(archive):
    files = {f"{i:03}.png": png(i) for i in range(100)} | {f"{i:03}.txt": f"number {i}" for i in range(100)}
    source = archive(files).build()
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(source.__getitem__, list(range(100)) * 4))
    assert all(record["image"] == png(i % 100) for i, record in enumerate(read))


def test_json_by_name():
    config = ZipSource(path="pictures.zip")
    assert to_dict(config) == {
        "component": "zip",
        "strict": True,
        "path": "pictures.zip",
        "missing_captions": "error",
    }
    assert from_dict(SourceConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "no image"}, "caption file a.txt has no image of the same stem"),
        ({"a.doc": "no image"}, "holds no images"),
        ({"a.png": png(0)}, r"image a\.png has no caption; add a\.txt"),
        ({"a.png": png(0), "a.txt": " \n"}, "has no caption"),
        ({"a.png": png(0), "a.txt": b"\xff"}, r"a\.txt: byte 0xff at offset 0 is not UTF-8"),
        ({"a.png": png(0), "metadata.jsonl": "{"}, "metadata.jsonl:1 is not JSON"),
        ({"a.png": png(0), "metadata.jsonl": '["a.png"]'}, "metadata.jsonl:1: expected a JSON object"),
        ({"a.png": png(0), "metadata.jsonl": '{"file_name": "a.png"}'}, "metadata.jsonl:1: has no caption"),
        ({"a.png": png(0), "metadata.jsonl": '{"file_name": "b.png", "text": "x"}'}, r"no image b\.png"),
        ({"a.png": png(0), "metadata.jsonl": '{"file_name": "a.png", "text": 3}'}, "text must be text"),
        ({"a.png": png(0), "a.txt": "x", "x.heic": "?", "x.txt": "x"}, r"only \.heic, which is not read"),
    ],
)
def test_bad_archives(archive, files, message):
    with pytest.raises(UserError, match=message):
        archive(files).build()


def test_no_file_and_no_archive(tmp_path):
    with pytest.raises(UserError, match="no file"):
        ZipSource(path=str(tmp_path / "absent.zip")).build()
    (tmp_path / "text.zip").write_text("not an archive")
    with pytest.raises(UserError, match="is not a ZIP archive"):
        ZipSource(path=str(tmp_path / "text.zip")).build()


def test_a_damaged_image_is_named(archive):
    source = archive(GOOD)
    with Path(source.path).open("r+b") as file:
        data = file.read()
        file.seek(data.index(b"IHDR"))
        file.write(b"XXXX")
    with pytest.raises(UserError, match=r"'b\.png' of .* cannot be read: Bad CRC"):
        list(source.build())


def test_text_and_names_as_people_have_them(archive):
    files = {
        "__MACOSX/._a.png": b"?",
        ".DS_Store": b"?",
        "a.png": png(1),
        "a.txt": "\ufeffa cat\u2028that sits\r\na dog".encode(),
        "sub/b.PNG": png(2),
        "sub/metadata.jsonl": '{"file_name": "./b.PNG", "text": "b"}'.encode("utf-16"),
    }
    source = archive(files).build()
    found = {record["key"]: record["captions"] for record in (source[0], source[1])}
    assert found == {"a.png": ["a cat\u2028that sits", "a dog"], "sub/b.PNG": ["b"]}


def test_faults_are_left_out_where_that_was_chosen(archive, caplog):
    config = archive({"a.png": png(1), "a.txt": "a", "b.png": png(2), "x.txt": "nobody"})
    source = replace(config, strict=False).build()
    assert [record["key"] for record in (source[i] for i in range(len(source)))] == ["a.png"]
    assert "1 of 2 images without a caption" in caplog.text
    assert len(replace(config, strict=False, missing_captions="empty").build()) == 2


def test_two_members_of_one_name(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for name in ("a.png", "a.txt", "b.png"):
            opened.writestr(name, png(1) if name.endswith("png") else "a")
    path.write_bytes(path.read_bytes().replace(b"b.png", b"a.png"))
    with pytest.raises(UserError, match=r"two members are called 'a\.png'; keep one"):
        ZipSource(path=str(path)).build()


def test_an_encrypted_member(archive):
    config = archive(GOOD)
    data = bytearray(Path(config.path).read_bytes())
    place = data.index(b"PK\1\2") + 8  # flags of the first entry of the directory, which is b.png
    data[place] |= 1
    Path(config.path).write_bytes(data)
    with pytest.raises(UserError, match=r"'b\.png' of .* cannot be read: .*encrypted"):
        list(config.build())


class TestZip(SourceSuite):
    @pytest.fixture(autouse=True)
    def files(self, archive):
        self.component = archive(GOOD)
