import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from i1_data.sources.webdataset import WebdatasetSource
from i1_data.testing import SourceSuite
from i1_hooks import UserError


def write(path: Path, members: Mapping[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


class TestWebdataset(SourceSuite):
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, picture: Callable[..., bytes]) -> None:
        members = {
            "a/0001.png": picture(1),
            "a/0001.txt": b"a cat\na grey cat\n",
            "a/0001.seg.png": b"ignored",
            "0002.JPG": picture(2, kind="jpeg"),
            "0002.json": json.dumps({"caption": "a dog", "url": "x"}).encode(),
        }
        write(tmp_path / "000.tar", members)
        write(tmp_path / "001.tar", {"0003.webp": picture(3, kind="webp")})
        self.root = tmp_path
        self.component = WebdatasetSource(path=str(tmp_path))

    def test_members_of_one_stem_are_one_record(self) -> None:
        source = self.component.build()
        found = {record["key"]: record["captions"] for record in (source[i] for i in range(len(source)))}
        assert found == {"a/0001": ["a cat", "a grey cat"], "0002": ["a dog"], "0003": []}

    def test_one_archive(self) -> None:
        assert len(WebdatasetSource(path=str(self.root / "001.tar")).build()) == 1

    def test_a_record_without_an_image(self) -> None:
        write(self.root / "002.tar", {"5.txt": b"a cat", "5.json": b"{}"})
        with pytest.raises(UserError, match=r"002\.tar: '5' has no image, only \.json, \.txt"):
            self.component.build()

    @pytest.mark.parametrize("suffix", [".txt", ".json"])
    def test_unreadable_captions(self, suffix: str) -> None:
        write(self.root / "002.tar", {"5.png": b"", "5" + suffix: b"\xff"})
        with pytest.raises(UserError, match=r"002\.tar, 5\.(txt|json): byte 0xff at offset 0 is not UTF-8"):
            self.component.build()[3]

    def test_a_compressed_archive(self) -> None:
        write(self.root / "002.tar", {"5.png": b""}, mode="w:gz")
        with pytest.raises(UserError, match=r"cannot read .*002\.tar as an uncompressed tar"):
            self.component.build()

    def test_a_cut_archive(self) -> None:
        path = self.root / "000.tar"
        path.write_bytes(path.read_bytes()[:700])
        with pytest.raises(UserError, match=r"cannot read .*000\.tar"):
            self.component.build()


def test_a_missing_place() -> None:
    with pytest.raises(UserError, match="no file or folder 'nowhere'"):
        WebdatasetSource(path="nowhere").build()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.tar files"):
        WebdatasetSource(path=str(tmp_path)).build()


def test_an_empty_archive(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", {})
    with pytest.raises(UserError, match="holds no records"):
        WebdatasetSource(path=str(tmp_path)).build()


def index(path: Path, **options: bool) -> dict[str, list[str]]:
    source = WebdatasetSource(path=str(path), **options).build()
    return {source[i]["key"]: source[i]["captions"] for i in range(len(source))}


def test_hidden_members_are_passed_over(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    members = {
        "1.png": picture(1),
        "1.txt": b"\xef\xbb\xbfa cat\r\na\xe2\x80\xa8dog",
        "._1.png": b"?",
        "__MACOSX/1.png": b"?",
        ".git/2.png": b"?",
    }
    write(tmp_path / "a.tar", members)
    assert index(tmp_path) == {"1": ["a cat", "a\u2028dog"]}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.png", "1.png"], r"'1' has two members \.png; keep one"),
        (["1.png", "1.PNG"], r"'1' has two members \.png; keep one"),
        (["1.png", "1.txt", "1.txt"], r"'1' has two members \.txt; keep one"),
        (["1.png", "1.jpg"], r"'1' has 2 images, \.png, \.jpg; give each image a stem of its own"),
        (["1.heic"], r"'1' has no image, only \.heic; images are \.png"),
    ],
)
def test_nothing_is_dropped_in_silence(
    tmp_path: Path, picture: Callable[..., bytes], names: list[str], message: str
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ["0.png", *names]:
            content = b"text" if name.endswith("txt") else picture(1)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(UserError, match=message + r".*set strict=false"):
        index(tmp_path)
    assert set(index(tmp_path, strict=False)) == {"0"} | ({"1"} if "1.heic" not in names else set())


def test_archives_cut_at_any_block_are_noticed(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    write(tmp_path / "whole.tar", {f"{n}.png": picture(n) for n in range(3)})
    whole = (tmp_path / "whole.tar").read_bytes()
    last = whole.rindex(b"2.png")
    end = last + 512 + 512 * -(-len(picture(2)) // 512)
    for cut in range(512, end + 1, 512):
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"cut\.tar as an uncompressed tar file: .*fetch it again"):
            index(tmp_path / "cut.tar")
    (tmp_path / "cut.tar").write_bytes(whole[:last])
    assert set(index(tmp_path / "cut.tar", strict=False)) == {"0", "1"}


def test_a_second_archive_in_the_file_is_noticed(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.tar", {f"{name}.png": picture(1)})
    both = (tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes()
    (tmp_path / "both.tar").write_bytes(both)
    with pytest.raises(UserError, match="data follows its end, such as a second archive"):
        index(tmp_path / "both.tar")


def test_links_have_content_or_are_named(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("1.png")
        info.size = len(picture(1))
        tar.addfile(info, io.BytesIO(picture(1)))
        for name, kind in (("2.png", tarfile.LNKTYPE), ("3.png", tarfile.SYMTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "1.png"
            tar.addfile(link)
    with pytest.raises(UserError, match=r"'3\.png' is a link to '1\.png'; store the file itself"):
        index(tmp_path)
    source = WebdatasetSource(path=str(tmp_path), strict=False).build()
    assert [source[i]["key"] for i in range(len(source))] == ["1", "2"]
    assert source[1]["image"] == picture(1)


def test_keys_of_several_archives_stay_apart(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    write(tmp_path / "a.tar", {"1.png": picture(1), "2.png": picture(2)})
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "b.tar", {"1.png": picture(1)})
    assert set(index(tmp_path)) == {"a.tar/1", "2", "sub/b.tar/1"}
