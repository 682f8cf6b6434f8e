import codecs
import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from i1_hooks import UserError, files
from i1_hooks.files import (
    bounded_name,
    decode_text,
    parse_json,
    read_json,
    read_text,
    split_lines,
    user_path,
    write_atomically,
)

TEXT = "un café 🎨"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_text_of_any_marked_encoding_is_read_without_its_mark(mark, encoding):
    assert decode_text(mark + TEXT.encode(encoding), "x.txt") == TEXT
    assert decode_text(mark, "x.txt") == ""
    inside = f"a{codecs.BOM_UTF8.decode()}b"
    assert decode_text(mark + inside.encode(encoding), "x.txt") == inside


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TEXT[:7].encode("cp1252"), "x.txt: byte 0xe9 at offset 6 is not UTF-8; save it as UTF-8"),
        (codecs.BOM_UTF8 + b"ab\xff", "x.txt: byte 0xff at offset 5 is not UTF-8; save it as UTF-8"),
        (codecs.BOM_UTF16_LE + b"a\0b", "x.txt: byte 0x62 at offset 4 is not UTF-16; save it as UTF-8"),
        (
            "star".encode("utf-16-le"),
            "x.txt: zero byte at offset 1, so it is not text, or UTF-16 without a byte-order mark; "
            "save it as UTF-8",
        ),
    ],
)
def test_other_encodings_name_the_file_the_offset_and_the_fix(data, message):
    with pytest.raises(UserError) as error:
        decode_text(data, Path("x.txt"))
    assert str(error.value) == message


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le"])
def test_saving_as_utf_8_is_the_fix(encoding, tmp_path):
    file = tmp_path / "x.txt"
    file.write_bytes(TEXT[:7].encode(encoding))
    with pytest.raises(UserError, match="save it as UTF-8"):
        read_text(file)
    file.write_text(file.read_bytes().decode(encoding), encoding="utf-8")
    assert read_text(file) == TEXT[:7]


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=f"^no file {tmp_path}/absent$"):
        read_text(tmp_path / "absent")
    with pytest.raises(UserError, match=f"^{tmp_path} is a folder, expected a file$"):
        read_text(tmp_path)
    with pytest.raises(UserError, match="a name holds no zero byte"):
        read_text("a\0b")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match=f"^cannot read {loop}: Too many levels of symbolic links$"):
        read_text(loop)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def denied(self, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", denied)  # tests may run as root, whom no mode stops
    with pytest.raises(UserError, match=r"^cannot read x\.txt: Permission denied$"):
        read_text("x.txt")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(files.LARGEST_TEXT + 1)
    with pytest.raises(UserError, match=r"huge\.txt is larger than 1 GiB"):
        read_text(tmp_path / "huge.txt")


def test_an_endless_file_is_refused(monkeypatch):
    monkeypatch.setattr(files, "LARGEST_TEXT", 2**20)
    with pytest.raises(UserError, match="/dev/zero is larger than"):
        read_text("/dev/zero")


def test_json_is_read_with_a_mark(tmp_path):
    (tmp_path / "a.json").write_bytes(codecs.BOM_UTF8 + b'{"a": ["\\ud83c\\udfa8"]}')
    assert read_json(tmp_path / "a.json") == {"a": ["🎨"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json is not JSON: Expecting property name"),
        ("", "a.json is not JSON: Expecting value"),
        ("[" * 200_000, "a.json is not JSON that can be read: nested too deeply"),
        ("1" * 5000, "a.json is not JSON: Exceeds the limit"),
        ('["\\ud83c"]', r"a.json: \\ud83c is half a character; write both halves"),
    ],
)
def test_what_is_not_json_is_named(text, message, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=message):
        parse_json(text, "a.json")


def test_json_keeps_the_bytes_of_file_names():
    name = os.fsdecode(b"caf\xe9")
    assert parse_json(json.dumps([name]), "x") == [name]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\nb\n", ["a", "b"]),
        ("a\r\n\r\nb", ["a", "", "b"]),
        ("a\r\r\n", ["a\r"]),
        ("a\u2028b\x85c\x0cd\x1ee\rf", ["a\u2028b\x85c\x0cd\x1ee\rf"]),
        ("\n\n", ["", ""]),
    ],
)
def test_only_line_feeds_end_a_line(text, lines):
    assert split_lines(text) == lines


@pytest.mark.parametrize("data", [b"new", "new", lambda file: file.write(b"new")])
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_is_written_whole(data, exists, tmp_path):
    target = tmp_path / "x.txt"
    if exists:
        target.write_text("an older and longer text")
    assert write_atomically(target, data) == target
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_the_umask_decides_about_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    calls = []
    sync, rename = os.fsync, Path.replace

    def record_sync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        calls.append(("sync", path.read_bytes() if path.is_file() else path))
        sync(descriptor)

    def record_rename(self, target):
        calls.append(("rename", Path(target)))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_rename)
    write_atomically(tmp_path / "x", b"data")
    assert calls == [("sync", b"data"), ("rename", tmp_path / "x"), ("sync", tmp_path)]


def test_exclusive_creation_keeps_what_is_there(tmp_path):
    target = tmp_path / "x"
    write_atomically(target, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(target, b"second", overwrite=False)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_atomically(link, b"second", overwrite=False)


RACE = """
import sys, time
from pathlib import Path
from i1_hooks.files import write_atomically
folder, start = Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0, start - time.time()))
won = 0
for i in range(200):
    try:
        write_atomically(folder / f"{i}", sys.argv[3] * 1000, overwrite=False)
        won += 1
    except FileExistsError:
        pass
print(won)
"""


def test_of_two_racing_processes_one_creates_each_file(tmp_path):
    import time

    start = str(time.time() + 1)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), start, name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    won = [int(racer.communicate()[0]) for racer in racers]
    assert sum(won) == 200
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert len(written) == 200
    assert [written.count("a" * 1000), written.count("b" * 1000)] == won


def test_a_file_system_without_hard_links_creates_exclusively_too(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted", source, None, target)

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "x"
    write_atomically(target, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(target, b"second", overwrite=False)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def fail_after_some(file):
    file.write(b"half")
    raise RuntimeError("stopped")


@pytest.mark.parametrize("overwrite", [True, False])
def test_nothing_stays_behind_when_writing_fails(overwrite, tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        write_atomically(tmp_path / "x", fail_after_some, overwrite=overwrite)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path):
    def fill(file):
        file.write(b"some")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = tmp_path / "x"
    target.write_bytes(b"old")
    with pytest.raises(UserError, match=f"^cannot write {target}: No space left on device$"):
        write_atomically(target, fill)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/x", "No such file or directory"),
        ("file/x", "Not a directory"),
        ("folder", "Is a directory"),
        ("n" * 300, "File name too long"),
        ("a\0b", "a name holds no zero byte"),
    ],
)
def test_what_cannot_be_written_is_named(name, reason, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=rf"^cannot write .*: {reason}$"):
        write_atomically(tmp_path / name, b"data")
    assert sorted(tmp_path.iterdir()) == before


def test_text_that_utf_8_cannot_hold_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"half a character, \\ud800"):
        write_atomically(tmp_path / "x", "a\ud800")
    assert list(tmp_path.iterdir()) == []


def test_names_of_bytes_that_are_not_utf_8_survive(tmp_path):
    path = user_path(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    write_atomically(path, TEXT, overwrite=False)
    assert os.fsencode(next(tmp_path.iterdir()).name) == b"caf\xe9.txt"
    assert read_text(path) == TEXT
    path.write_bytes(b"\xff")
    with pytest.raises(UserError, match="caf\udce9\\.txt: byte 0xff at offset 0"):
        read_text(path)


@pytest.mark.parametrize("stem", ["🎨" * 300, "é" * 300, "n" * 300, "\udcff" * 300, "👩‍🚀" * 100])
@pytest.mark.parametrize("limit", [24, 25, 26, 27, 200])
def test_long_names_are_cut_between_characters_and_stay_different(stem, limit):
    name = bounded_name(stem, ".png", limit=limit)
    size = len(name.encode("utf-8", "surrogatepass"))
    assert limit - 4 < size <= limit
    kept, _, digest = name.removesuffix(".png").rpartition("-")
    assert stem.startswith(kept)
    assert len(digest) == 8
    assert name == bounded_name(stem, ".png", limit=limit)
    assert name != bounded_name(stem + "x", ".png", limit=limit)


def test_a_bounded_name_can_be_written(tmp_path):
    assert write_atomically(tmp_path / bounded_name("🎨" * 300, ".png"), b"").is_file()


@pytest.mark.parametrize("length", [195, 196])
def test_a_name_that_fits_is_kept(length):
    assert bounded_name("n" * length, ".png") == "n" * length + ".png"
    assert bounded_name("n" * 197, ".png") != "n" * 197 + ".png"


def test_a_suffix_without_room_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="no room for a name"):
        bounded_name("name", ".png", limit=7)


def test_the_home_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    assert user_path("~") == tmp_path
    assert user_path("a/~") == Path("a/~")
    assert user_path("~nobody-here/x") == Path("~nobody-here/x")
    assert user_path("./~") == Path("~")


@pytest.mark.parametrize("text", ["", "a\0b", b"a\0b"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(UserError, match="is not a path"):
        user_path(text)
