import json
from collections.abc import Callable
from pathlib import Path

import pytest
from i1_data.sources.image_folder import ImageFolderSource
from i1_data.testing import SourceSuite
from i1_hooks import UserError

Picture = Callable[..., bytes]


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestTextFiles(SourceSuite):
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, picture: Picture) -> None:
        write(tmp_path / "b.PNG", picture(1))
        write(tmp_path / "b.txt", "a cat\n\n  a grey cat  \n")
        write(tmp_path / "deep" / "er" / "a.jpeg", picture(2, kind="jpeg"))
        write(tmp_path / "deep" / "er" / "a.txt", "ein Hündchen")
        write(tmp_path / "c.webp", picture(3, kind="webp"))
        write(tmp_path / "c.txt", "a dog")
        write(tmp_path / "notes.md", "not an image")
        self.component = ImageFolderSource(root=str(tmp_path))

    def test_paths_and_lines_become_keys_and_captions(self) -> None:
        source = self.component.build()
        found = {record["key"]: record["captions"] for record in (source[i] for i in range(len(source)))}
        assert found == {
            "b.PNG": ["a cat", "a grey cat"],
            "c.webp": ["a dog"],
            "deep/er/a.jpeg": ["ein Hündchen"],
        }

    def test_a_file_that_vanished_is_named(self, tmp_path: Path) -> None:
        source = self.component.build()
        (tmp_path / "b.PNG").unlink()
        with pytest.raises(UserError, match=r"cannot read image .*b\.PNG: No such file"):
            source[0]


class TestManifests(SourceSuite):
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, picture: Picture) -> None:
        for name in ("a.png", "sub/b.png", "sub/c.png"):
            write(tmp_path / name, picture(len(name)))
        rows = [{"file_name": "a.png", "text": "one", "captions": ["two", ""]}]
        write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
        rows = [
            {"file_name": "b.png", "caption": "three"},
            {"file_name": "c.png", "caption": "five"},
            {"file_name": "b.png", "caption": "four"},
        ]
        write(tmp_path / "sub" / "captions.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
        self.component = ImageFolderSource(root=str(tmp_path))

    def test_captions_come_from_the_manifests(self) -> None:
        source = self.component.build()
        found = {record["key"]: record["captions"] for record in (source[i] for i in range(len(source)))}
        assert found == {"a.png": ["one", "two"], "sub/b.png": ["three", "four"], "sub/c.png": ["five"]}


def test_images_without_captions_may_be_allowed(tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    source = ImageFolderSource(root=str(tmp_path), missing_captions="empty").build()
    assert source[0]["captions"] == []


def test_a_missing_folder() -> None:
    with pytest.raises(UserError, match="no folder 'nowhere'"):
        ImageFolderSource(root="nowhere").build()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no images"):
        ImageFolderSource(root=str(tmp_path)).build()


def test_a_caption_without_its_image(tmp_path: Path, picture: Picture) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.txt", "a cat")
    write(tmp_path / "b.txt", "a dog")
    with pytest.raises(UserError, match=r"b\.txt has no image of the same stem"):
        ImageFolderSource(root=str(tmp_path)).build()


def test_an_image_without_captions(tmp_path: Path, picture: Picture) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / name, picture(1))
    write(tmp_path / "a.txt", "a cat")
    with pytest.raises(
        UserError, match=r"image b\.png has no caption; write b\.txt .*\(2 of 3 images without a caption\)"
    ):
        ImageFolderSource(root=str(tmp_path)).build()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "metadata.jsonl:2 is not JSON"),
        ("[1]", "metadata.jsonl:2: expected a JSON object"),
        ('{"text": "a"}', "metadata.jsonl:2: names no image; expected one of file_name"),
        ('{"file_name": "a.png", "title": "a"}', "metadata.jsonl:2: has no caption; .* got file_name, title"),
        ('{"file_name": "a.png", "text": 3}', "metadata.jsonl:2: text must be text"),
        ('{"file_name": "b.png", "text": "a"}', r"metadata.jsonl:2: no image .*b\.png"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, picture: Picture, line: str, message: str) -> None:
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "metadata.jsonl", '{"file_name": "a.png", "text": "a cat"}\n' + line)
    with pytest.raises(UserError, match=message):
        ImageFolderSource(root=str(tmp_path)).build()
