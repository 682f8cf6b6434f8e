import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from i1_data.sources.image_folder import ImageFolderSource
from i1_data.sources.parquet import ParquetSource
from i1_data.sources.webdataset import WebdatasetSource
from i1_hooks import UserError

Picture = Callable[..., bytes]


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pair(folder: Path, stem: str, picture: Picture) -> None:
    write(folder / f"{stem}.png", picture(1))
    write(folder / f"{stem}.txt", f"the picture {stem}")


def keys(root: Path, **options: object) -> list[str]:
    source = ImageFolderSource(root=str(root), **options).build()
    return [source[index]["key"] for index in range(len(source))]


SYSTEM = [
    *("._a.png", ".a.png.swp", ".DS_Store", "Thumbs.db", "desktop.ini", "DESKTOP.INI", ".hidden.txt"),
    *("__MACOSX/a.png", "__MACOSX/._a.png", ".ipynb_checkpoints/a-checkpoint.png", "@eaDir/a.png/SYNO.png"),
    *(".thumbnails/a.png", "$RECYCLE.BIN/x.png", "sub/.git/a.png", "lost+found/b.png", "sub/._b.txt"),
    *("__pycache__/x.txt", "System Volume Information/x.txt", "#recycle/c.png"),
]


@pytest.mark.parametrize("name", SYSTEM)
def test_hidden_and_system_files_are_passed_over_and_counted(
    name: str, tmp_path: Path, picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    pair(tmp_path, "a", picture)
    write(tmp_path / name, picture(2) if name.endswith(".png") else "x")
    with caplog.at_level(logging.INFO):
        assert keys(tmp_path) == ["a.png"]
    assert "passed over 1 hidden and system files" in caplog.text


def test_a_root_may_be_hidden(tmp_path: Path, picture: Picture) -> None:
    pair(tmp_path / ".cache" / "pictures", "a", picture)
    assert keys(tmp_path / ".cache" / "pictures") == ["a.png"]


@pytest.mark.parametrize("kind", ["workdir", "checkpoint", "model"])
def test_what_i1_wrote_is_passed_over_and_named(
    kind: str, tmp_path: Path, picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    pair(tmp_path, "a", picture)
    own = tmp_path / "sub" / "own"
    write(own / "preview.png", picture(3))
    if kind == "workdir":
        write(own / "config.json", '{"recipe": "folder", "data": {}}')
        write(own / "checkpoints" / "2" / "commit_success.txt", "done")
    elif kind == "checkpoint":
        write(own / "commit_success.txt", "done")
    else:
        write(own / "config.json", '{"backbone": {}}')
        write(own / "model.safetensors", b"")
    assert keys(tmp_path) == ["a.png"]
    assert "passed over sub/own, which is" in caplog.text
    with pytest.raises(UserError, match=r"own is (the workdir|a checkpoint|a model).* not a folder of data"):
        keys(own)
    assert (own / "preview.png").is_file()


def test_a_config_of_the_user_s_is_no_workdir(tmp_path: Path, picture: Picture) -> None:
    pair(tmp_path / "sub", "a", picture)
    write(tmp_path / "sub" / "config.json", '{"data": 1}')
    write(tmp_path / "other" / "config.json", "not json")
    pair(tmp_path / "other", "b", picture)
    assert keys(tmp_path) == ["other/b.png", "sub/a.png"]


def test_linked_folders_are_followed_once_and_without_cycles(tmp_path: Path, picture: Picture) -> None:
    root = tmp_path / "root"
    pair(root / "real", "a", picture)
    pair(tmp_path / "elsewhere", "b", picture)
    (root / "a link").symlink_to(root / "real")  # sorts before `real`, which keeps its name
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "real" / "up").symlink_to(root)
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere")
    assert keys(root) == ["out/b.png", "real/a.png"]


def test_linked_files_are_followed(tmp_path: Path, picture: Picture) -> None:
    pair(tmp_path / "store", "a", picture)
    (tmp_path / "root").mkdir()
    for name in ("a.png", "a.txt"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "store" / name)
    assert keys(tmp_path / "root") == ["a.png"]


def test_a_link_that_leads_nowhere_is_named(
    tmp_path: Path, picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    pair(tmp_path, "a", picture)
    (tmp_path / "b.png").symlink_to(tmp_path / "absent.png")
    (tmp_path / "c").symlink_to(tmp_path / "c")
    with pytest.raises(UserError, match=r"cannot read link .*(b\.png|c): .*set strict=false"):
        keys(tmp_path)
    assert keys(tmp_path, strict=False) == ["a.png"]
    assert "left out, 2 unreadable folders and links" in caplog.text


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of a user without privileges; permissions mean nothing to root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def denied(path: Path, root: Path, **options: object) -> list[str]:
    path.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        return keys(root, **options)
    finally:
        if is_root:
            os.seteuid(0)
        path.chmod(0o755)


def test_an_unreadable_folder_is_named(as_nobody: Path, picture: Picture) -> None:
    pair(as_nobody, "a", picture)
    pair(as_nobody / "secret", "b", picture)
    with pytest.raises(UserError, match=r"cannot read folder .*secret: Permission denied"):
        denied(as_nobody / "secret", as_nobody)
    assert denied(as_nobody / "secret", as_nobody, strict=False) == ["a.png"]


@pytest.mark.parametrize("name", ["a.txt", "metadata.jsonl"])
def test_an_unreadable_caption_is_named(as_nobody: Path, picture: Picture, name: str) -> None:
    pair(as_nobody, "a", picture)
    write(as_nobody / "metadata.jsonl", "")
    with pytest.raises(UserError, match=rf"cannot read .*{name}: Permission denied"):
        denied(as_nobody / name, as_nobody)


def test_tables_and_archives_in_system_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("._a.parquet", "__MACOSX/a.parquet", "._a.tar", ".x/a.tar"):
        write(tmp_path / name, b"?")
    with pytest.raises(UserError, match=r"holds no \.parquet files"):
        ParquetSource(path=str(tmp_path)).build()
    with pytest.raises(UserError, match=r"holds no \.tar files"):
        WebdatasetSource(path=str(tmp_path)).build()


def test_a_home_folder_is_expanded(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(tmp_path / "pictures", "a", picture)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(ImageFolderSource(root="~/pictures").build()) == 1
