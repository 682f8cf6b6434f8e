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
        with pytest.raises(UserError, match=r"002\.tar, 5: cannot read the captions"):
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
