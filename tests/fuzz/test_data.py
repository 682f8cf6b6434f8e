"""Damaged pictures, archives, tables and manifests: every source and every format of images."""

from __future__ import annotations

import io
import json
import logging
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from i1_data import images
from i1_data.records.tfrecord import masked_crc32c
from i1_data.sources import SourceConfig
from i1_data.sources.image_folder import ImageFolderSource
from i1_data.sources.jsonl import JsonlSource
from i1_data.sources.parquet import ParquetSource
from i1_data.sources.tfrecord import TfrecordSource
from i1_data.sources.webdataset import WebdatasetSource
from i1_hooks import UserError
from i1_plugin_zip.source import ZipSource
from mutations import Format, fuzz
from PIL import Image

if __name__ == "formats":  # in the process of `fuzz`
    logging.disable(logging.WARNING)
SLOW_INPUTS = int(os.environ.get("I1_FUZZ_INPUTS", "2500"))
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def picture(kind: str = "PNG", **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "a camera", 72.5
    if kind in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF"):
        options["exif"] = exif
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


def decode_file(folder: Path) -> None:
    data = (folder / "image").read_bytes()
    images.upright_size(data)
    images.prepare(data, 16)


def image(kind: str, **options: object) -> Format:
    return Format(lambda folder: (folder / "image").write_bytes(picture(kind, **options)), decode_file)


def read_all(config: SourceConfig) -> None:
    """Reads what a source holds, in a strict and in a loose way; single records may be refused."""
    for source in (config, type(config)(**{**vars(config), "strict": False})):
        try:
            opened = source.build()
        except UserError:
            continue
        for index in range(min(len(opened), 20)):
            try:
                record = opened[index]
                images.image_size(record["image"])
                json.dumps(record["captions"], ensure_ascii=False).encode()
                record["key"].encode()
            except UserError:
                continue


def make_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("a", "b", "sub/c", "sub/d"):
        (folder / f"{name}.png").write_bytes(picture())
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text("a cat\nein Hündchen\n")
    rows = [{"file_name": f"{name}.png", "text": ["one", "写真"]} for name in "cd"]
    (folder / "sub" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))


def make_manifest(folder: Path) -> None:
    (folder / "a.png").write_bytes(picture())
    rows = [{"image": "a.png", "caption": "ein Hündchen"}, {"image_path": "./a.png", "captions": ["x", "y"]}]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "all.jsonl").write_bytes(text.encode("utf-16"))


def members() -> dict[str, bytes]:
    return {
        "a.png": picture(),
        "a.txt": b"a cat\na dog\n",
        "sub/b.jpg": picture("JPEG"),
        "sub/b.json": json.dumps({"caption": "b"}).encode(),
        "sub/b.txt": b"b",
    }


def make_tar(folder: Path) -> None:
    with tarfile.open(folder / "a.tar", "w") as tar:
        for name, content in members().items():
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(content), {"comment": "ü"}
            tar.addfile(info, io.BytesIO(content))


def make_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members().items():
            archive.writestr(name, content)


def make_parquet(folder: Path) -> None:
    columns = {
        "image": [{"bytes": picture(), "path": None} for _ in range(8)],
        "caption": [["a", "b"]] * 7 + [None],
        "id": [str(number) for number in range(8)],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "a.parquet", row_group_size=3)


def field(number: int, body: bytes) -> bytes:
    length = bytes([len(body) & 127 | 128, len(body) >> 7]) if len(body) > 127 else bytes([len(body)])
    return bytes([number << 3 | 2]) + length + body


def make_tfrecord(folder: Path) -> None:
    records = []
    for index in range(4):
        values = {"image": [picture()], "caption": [b"a", b"b"], "image_name": [f"{index}".encode()]}
        features = b"".join(
            field(1, field(1, name.encode()) + field(2, field(1, b"".join(field(1, v) for v in found))))
            for name, found in values.items()
        )
        payload = field(1, features)
        length = struct.pack("<Q", len(payload))
        records.append(length + struct.pack("<I", masked_crc32c(length)) + payload)
        records.append(struct.pack("<I", masked_crc32c(payload)))
    (folder / "x-train.tfrecord-00000-of-00001").write_bytes(b"".join(records))


def make_tfds(folder: Path) -> None:
    make_tfrecord(folder)
    splits = [{"name": "train", "shardLengths": ["4"]}]
    (folder / "dataset_info.json").write_text(json.dumps({"name": "x", "splits": splits}))


def source(make: Callable[[Path], None], config: Callable[[Path], SourceConfig], *mutated: str) -> Format:
    return Format(make, lambda folder: read_all(config(folder)), mutated or ("*",))


FORMATS = {
    "png": image("PNG", icc_profile=b"p" * 300),
    "jpeg": image("JPEG", icc_profile=b"p" * 300, comment=b"made here"),
    "webp": image("WEBP"),
    "lossless webp": image("WEBP", lossless=True),
    "avif": image("AVIF"),
    "gif": image("GIF"),
    "bmp": image("BMP"),
    "tiff": image("TIFF", compression="tiff_lzw"),
    "jpeg 2000": image("JPEG2000"),
    "ppm": image("PPM"),
    "tga": image("TGA", compression="tga_rle"),
    "ico": image("ICO", sizes=[(16, 16)]),
    "folder": source(make_folder, lambda folder: ImageFolderSource(root=str(folder)), "**/*"),
    "manifest": source(
        make_manifest, lambda folder: JsonlSource(manifest=str(folder / "all.jsonl")), "*.jsonl"
    ),
    "tar": source(make_tar, lambda folder: WebdatasetSource(path=str(folder))),
    "zip": source(make_zip, lambda folder: ZipSource(path=str(folder / "a.zip"))),
    "parquet": source(make_parquet, lambda folder: ParquetSource(path=str(folder), key_column="id")),
    "tfrecord": source(make_tfrecord, lambda folder: TfrecordSource(root=str(folder))),
    "tfds": source(make_tfds, lambda folder: TfrecordSource(root=str(folder))),
}


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_inputs(name: str) -> None:
    fuzz(__file__, name, inputs=40, seed=20)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", FORMATS)
def test_many_damaged_inputs(name: str) -> None:
    fuzz(__file__, name, inputs=SLOW_INPUTS, seed=21)
