import codecs
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from i1_data.sources.image_folder import ImageFolderSource
from i1_data.sources.jsonl import JsonlSource
from i1_hooks import UserError

Picture = Callable[..., bytes]
CAPTION = "ein Hündchen 写真 🙂"
ENCODED = {
    "utf-8": CAPTION.encode(),
    "utf-8 with mark": codecs.BOM_UTF8 + CAPTION.encode(),
    "utf-16 little": codecs.BOM_UTF16_LE + CAPTION.encode("utf-16-le"),
    "utf-16 big": codecs.BOM_UTF16_BE + CAPTION.encode("utf-16-be"),
    "utf-32": codecs.BOM_UTF32_LE + CAPTION.encode("utf-32-le"),
}


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def captions(root: Path, **options: object) -> dict[str, list[str]]:
    source = ImageFolderSource(root=str(root), **options).build()
    return {source[index]["key"]: source[index]["captions"] for index in range(len(source))}


@pytest.mark.parametrize("encoding", ENCODED)
def test_text_of_any_encoding_with_a_mark_is_read(encoding: str, tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.txt", ENCODED[encoding])
    assert captions(tmp_path) == {"a.png": [CAPTION]}
    line = json.dumps({"file_name": "a.png", "text": CAPTION}, ensure_ascii=False)
    codec = {"utf-8": "utf-8", "utf-8 with mark": "utf-8-sig"}.get(encoding, "utf-16")
    manifest = write(tmp_path / "all.jsonl", f"{line}\r\n{line}\r\n".encode(codec))
    assert JsonlSource(manifest=str(manifest)).build()[0]["captions"] == [CAPTION, CAPTION]


def test_other_encodings_are_named(tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.txt", "ein Hündchen".encode("cp1252"))
    with pytest.raises(UserError, match=r"a\.txt: byte 0xfc at offset 5 is not UTF-8; save it as UTF-8"):
        captions(tmp_path)
    write(tmp_path / "a.txt", "ein Hündchen")
    assert captions(tmp_path) == {"a.png": ["ein Hündchen"]}
    manifest = write(
        tmp_path / "all.jsonl", b'{"image": "a.png", "text": "a"}\n{"image": "a.png", "text": "\xfc"}'
    )
    with pytest.raises(UserError, match=r"all\.jsonl:2: byte 0xfc at offset 28 is not UTF-8"):
        JsonlSource(manifest=str(manifest)).build()


@pytest.mark.parametrize("code", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_line_feeds_end_a_caption(code: str, tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.txt", f"a{code}cat\r\na dog\n")
    write(tmp_path / "all.jsonl", json.dumps({"image": "a.png", "text": f"a{code}cat"}, ensure_ascii=False))
    assert captions(tmp_path) == {"a.png": [f"a{code}cat", "a dog"]}
    assert JsonlSource(manifest=str(tmp_path / "all.jsonl")).build()[0]["captions"] == [f"a{code}cat"]


def test_each_folder_has_its_own_way_to_write_captions(tmp_path: Path, picture: Picture) -> None:
    for name in ("a/1.png", "b/2.png", "b/3.png", "4.png"):
        write(tmp_path / name, picture(1))
    write(tmp_path / "a" / "metadata.jsonl", '{"file_name": "1.png", "text": "one"}')
    write(tmp_path / "a" / "LICENCE.txt", "of the pictures in this folder")
    write(tmp_path / "b" / "2.txt", "two")
    write(tmp_path / "b" / "3.txt", "three")
    write(tmp_path / "4.txt", "four")
    assert captions(tmp_path) == {
        "4.png": ["four"],
        "a/1.png": ["one"],
        "b/2.png": ["two"],
        "b/3.png": ["three"],
    }


def test_the_manifest_decides_about_the_images_that_it_names(tmp_path: Path, picture: Picture) -> None:
    for name in ("1.png", "2.png"):
        write(tmp_path / name, picture(1))
    write(tmp_path / "metadata.jsonl", '{"file_name": "1.png", "text": "one"}')
    write(tmp_path / "1.txt", "from the text file")
    write(tmp_path / "2.txt", "two")
    assert captions(tmp_path) == {"1.png": ["one"], "2.png": ["two"]}


@pytest.mark.parametrize("end", [".heic", ".svg", ".cr2"])
def test_a_caption_names_what_lies_beside_it(end: str, tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.txt", "a cat")
    write(tmp_path / f"x{end}", b"?")
    write(tmp_path / "x.txt", "a dog")
    with pytest.raises(
        UserError, match=rf"x\.txt has no image of the same stem, only \{end}, which is not read"
    ):
        captions(tmp_path)
    assert captions(tmp_path, strict=False) == {"a.png": ["a cat"]}


@pytest.mark.parametrize("kind", ["avif", "gif", "bmp", "tiff"])
def test_images_of_other_formats_are_read(kind: str, tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / f"x.{kind.upper()}", picture(7, kind=kind))
    write(tmp_path / "x.txt", "a dog")
    assert captions(tmp_path) == {f"x.{kind.upper()}": ["a dog"]}


def test_names_are_equal_however_unicode_writes_them(tmp_path: Path, picture: Picture) -> None:
    composed, split = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    write(tmp_path / f"{split}.png", picture(1))
    write(tmp_path / f"{composed}.txt", "with an accent")
    assert captions(tmp_path) == {f"{split}.png": ["with an accent"]}
    (tmp_path / f"{composed}.txt").unlink()
    write(tmp_path / "metadata.jsonl", json.dumps({"file_name": f"{composed}.png", "text": "in a manifest"}))
    assert captions(tmp_path) == {f"{split}.png": ["in a manifest"]}
    write(tmp_path / f"{composed}.png", picture(2))
    (tmp_path / "metadata.jsonl").unlink()
    write(tmp_path / f"{composed}.txt", "of the composed")
    write(tmp_path / f"{split}.txt", "of the split")
    assert captions(tmp_path) == {f"{split}.png": ["of the split"], f"{composed}.png": ["of the composed"]}


def test_one_file_is_one_record_however_its_path_is_written(tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    (tmp_path / "sub").mkdir()
    paths = ["a.png", "./a.png", ".//a.png", "sub/../a.png", str(tmp_path / "a.png"), ".\\a.png"]
    rows = [json.dumps({"image": path, "text": str(n)}) for n, path in enumerate(paths)]
    source = JsonlSource(manifest=str(write(tmp_path / "all.jsonl", "\n".join(rows)))).build()
    assert len(source) == 1
    assert source[0]["key"] == "a.png"
    assert source[0]["captions"] == ["0", "1", "2", "3", "4", "5"]


def test_one_stem_with_two_ends_is_two_records(tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.jpg", picture(2, kind="jpeg"))
    write(tmp_path / "sub" / "a.png", picture(3))
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "sub" / "a.txt", "two")
    assert captions(tmp_path) == {"a.jpg": ["one"], "a.png": ["one"], "sub/a.png": ["two"]}


def test_names_that_are_not_utf_8_are_read_and_printable(tmp_path: Path, picture: Picture) -> None:
    folder = os.fsencode(tmp_path)
    for end, content in ((b".png", picture(1)), (b".txt", b"a cat")):
        Path(os.fsdecode(folder + b"/caf\xe9" + end)).write_bytes(content)
    found = captions(tmp_path)
    assert found == {"caf\\xe9.png": ["a cat"]}
    json.dumps(found, ensure_ascii=False).encode()
    Path(os.fsdecode(folder + b"/caf\xe9.txt")).unlink()
    with pytest.raises(UserError, match=r"image caf\\xe9\.png has no caption; write caf\\xe9\.txt"):
        captions(tmp_path)


def test_faults_are_left_out_and_counted_where_that_was_chosen(
    tmp_path: Path, picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.png", "b.png", "c.png", "sub/d.png"):
        write(tmp_path / name, picture(1))
    write(tmp_path / "a.txt", "a cat")
    write(tmp_path / "x.txt", "nobody")
    write(
        tmp_path / "sub" / "metadata.jsonl",
        '{"file_name": "d.png", "text": "d"}\n{\n{"file_name": "e.png", "text": "e"}',
    )
    with pytest.raises(UserError, match="set strict=false to leave such records out"):
        captions(tmp_path)
    assert captions(tmp_path, strict=False) == {"a.png": ["a cat"], "sub/d.png": ["d"]}
    for words in (
        "2 of 4 images without a caption",
        "1 captions without an image",
        "1 bad lines",
        "1 lines without",
    ):
        assert words in caplog.text


def test_lines_nested_without_end_are_no_internal_error(tmp_path: Path) -> None:
    for line in (
        "[" * 100_000,
        '{"image": ' + "1" * 5000 + "}",
        '{"image": "\\ud800"}',
        '{"image": "a\\u0000b"}',
    ):
        manifest = write(tmp_path / "all.jsonl", line)
        with pytest.raises(UserError, match=r"all\.jsonl"):
            JsonlSource(manifest=str(manifest)).build()
