import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from i1_data import images
from i1_data.buckets import aspect_buckets
from i1_data.commands.cli import main
from i1_data.preparation import shard
from i1_data.preparation.prepare import prepare
from i1_data.preparation.settings import Preparation
from i1_data.sources.array_record import ArrayRecordSource
from i1_data.sources.image_folder import ImageFolderSource
from i1_data.sources.tfrecord import TfrecordSource
from i1_data.testing import SourceSuite
from i1_hooks import UserError
from PIL import Image

TINY = Path(__file__).parent / "goldens" / "tfrecord_tiny"


def make_folder(root: Path, count: int = 23) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        height, width = ((40, 40), (60, 24), (24, 60), (20, 22), (33, 31))[number % 5]
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number:03}.png")
        (root / f"{number:03}.txt").write_text(f"picture {number}\na picture\n")
    return root


def settings(root: Path, **changes: object) -> Preparation:
    options = {"resolution": 16, "records_per_shard": 5, **changes}
    return Preparation(source=ImageFolderSource(root=str(root)), **options)  # pyright: ignore[reportArgumentType]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


class TestArrayRecord(SourceSuite):
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path) -> None:
        prepare(settings(make_folder(tmp_path / "in")), tmp_path / "out")
        self.component = ArrayRecordSource(root=str(tmp_path / "out"))


def test_a_prepared_set_holds_the_pictures_of_the_golden_rule(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in")
    manifest = prepare(settings(root), tmp_path / "out")
    source, made = (
        ImageFolderSource(root=str(root)).build(),
        ArrayRecordSource(root=str(tmp_path / "out")).build(),
    )
    assert len(made) == len(source) == manifest["records"] == 23
    assert manifest["sizes"] == {"16x16": 23}
    assert [row["records"] for row in manifest["shards"]] == [5, 5, 5, 5, 3]
    for index in range(23):
        before, after = source[index], made[index]
        assert (after["key"], after["captions"]) == (before["key"], before["captions"])
        np.testing.assert_array_equal(images.prepare(after["image"], 16), images.prepare(before["image"], 16))
    for row in manifest["shards"]:
        assert hashlib.sha256((tmp_path / "out" / row["shard"]).read_bytes()).hexdigest() == row["sha256"]


def test_the_released_records_go_through_unchanged(tmp_path: Path) -> None:
    released = TfrecordSource(root=str(TINY))
    size = images.image_size(released.build()[0]["image"])
    prepare(Preparation(source=released, resolution=size[0]), tmp_path / "out")
    made, source = ArrayRecordSource(root=str(tmp_path / "out")).build(), released.build()
    for index in range(len(source)):
        assert made[index]["captions"] == source[index]["captions"]
        np.testing.assert_array_equal(
            np.asarray(images.decode(made[index]["image"])), np.asarray(images.decode(source[index]["image"]))
        )


def test_buckets_filters_and_counts(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in")
    (root / "004.png").write_bytes(b"broken")
    arguments = ["prepare", str(root), str(tmp_path / "out"), "--resolution", "32", "--buckets", "aspect"]
    arguments += ["--filter", "readable", "--filter", "min_size:shorter_edge=22", "--records-per-shard", "10"]
    assert main(arguments) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["dropped"] == {"0 ReadableFilter": 1, "1 MinSizeFilter": 4}
    assert manifest["records"] == 18
    assert set(manifest["sizes"]) <= {f"{h}x{w}" for h, w in aspect_buckets(32)}
    assert len(manifest["sizes"]) == 3
    assert manifest["enlarged"] > 0


@pytest.mark.parametrize("storage", ["png", "webp", "jpeg"])
def test_storage(tmp_path: Path, storage: str) -> None:
    root = make_folder(tmp_path / "in", 3)
    prepare(settings(root, storage=storage), tmp_path / "out")
    record = ArrayRecordSource(root=str(tmp_path / "out")).build()[0]
    assert Image.open(io.BytesIO(record["image"])).format == storage.upper()
    if storage != "jpeg":
        expected = images.prepare((root / "000.png").read_bytes(), 16)
        np.testing.assert_array_equal(images.prepare(record["image"], 16), expected)


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(root / "a.png")
    (root / "a.txt").write_text("nothing")
    for colour, shown in ((None, (255, 0, 0)), ((0, 128, 255), (0, 128, 255))):
        out = tmp_path / str(colour)
        prepare(settings(root, background=colour), out)
        record = ArrayRecordSource(root=str(out)).build()[0]
        assert tuple(images.prepare(record["image"], 16)[3, 3]) == shown


def test_a_second_preparation_encodes_nothing_and_a_new_caption_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = make_folder(tmp_path / "in"), tmp_path / "out"
    prepare(settings(root), out)
    before = digests(out)
    encoded: list[str] = []
    encode = shard._encode
    monkeypatch.setattr(shard, "_encode", lambda *given: encoded.append(given[1]["key"]) or encode(*given))
    prepare(settings(root), out)
    assert digests(out) == before
    assert encoded == []
    (root / "007.txt").write_text("another caption")
    prepare(settings(root), out)
    changed = {name for name, digest in digests(out).items() if before[name] != digest}
    assert changed == {"manifest.json", "data-00001-of-00005.array_record"}
    assert encoded == []
    assert ArrayRecordSource(root=str(out)).build()[7]["captions"] == ["another caption"]
    Image.new("RGB", (20, 20)).save(root / "012.png")
    prepare(settings(root), out)
    assert encoded == ["012.png"]


def test_a_source_that_has_grown_is_prepared_again(tmp_path: Path) -> None:
    root, out = make_folder(tmp_path / "in", 12), tmp_path / "out"
    prepare(settings(root), out)
    make_folder(root, 17)
    prepare(settings(root), out)
    prepare(settings(root), tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in")
    prepare(settings(root), tmp_path / "one")
    prepare(settings(root), tmp_path / "two", workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_killed_anywhere_and_restarted_the_bytes_are_the_same(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 60)
    prepare(settings(root, records_per_shard=2), tmp_path / "whole")
    code = "import sys; from i1_data.commands.cli import main; main(sys.argv[1:])"
    arguments = ["prepare", str(root), "--resolution", "16", "--records-per-shard", "2"]
    rng = random.Random(0)
    kills = 0
    for attempt in range(3):
        out = tmp_path / f"out{attempt}"
        while not (out / "manifest.json").exists():
            number = len(list(out.glob("*.array_record"))) if out.exists() else 0
            until = number + rng.randrange(1, 4)
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments[:2], str(out), *arguments[2:]],
                stderr=subprocess.DEVNULL,
            )
            while process.poll() is None:
                if kills < 30 and out.exists() and len(list(out.glob("*.array_record"))) >= until:
                    time.sleep(rng.random() * 0.01)
                    process.send_signal(signal.SIGKILL)
                    kills += process.wait() == -signal.SIGKILL
                    whole = digests(tmp_path / "whole")
                    for name, digest in digests(out).items():
                        assert name.startswith(".") or name == "plan.json" or whole.get(name) == digest
        prepare(settings(root, records_per_shard=2), out)  # it may have been killed before it tidied up
        assert digests(out) == digests(tmp_path / "whole")
    assert kills >= 10


def test_a_broken_picture_is_fatal_or_listed(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 7)
    (root / "003.png").write_bytes(b"broken")
    arguments = ["prepare", str(root), str(tmp_path / "out"), "--resolution", "16"]
    with pytest.raises(UserError, match=r"cannot decode image '003\.png'.*set strict=false"):
        main(arguments)
    with pytest.raises(UserError, match="holds another preparation: source was"):
        main([*arguments, "--skip-broken"])
    assert main(["prepare", str(root), str(tmp_path / "new"), "--resolution", "16", "--skip-broken"]) == 0
    manifest = json.loads((tmp_path / "new" / "manifest.json").read_text())
    assert (manifest["records"], manifest["unreadable"]) == (6, 1)
    assert manifest["shards"][0]["unreadable"][0][0] == "003.png"


def test_a_folder_that_holds_something_else_stays(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 3)
    prepare(settings(root), tmp_path / "out")
    with pytest.raises(UserError, match="holds another preparation: resolution was 16, is 32"):
        prepare(settings(root, resolution=32), tmp_path / "out")
    with pytest.raises(UserError, match="is not empty and holds no prepared set"):
        prepare(settings(root), root)


def test_shards_are_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(settings(make_folder(tmp_path / "in")), tmp_path / "out")
    name = tmp_path / "out" / "data-00001-of-00005.array_record"
    data = name.read_bytes()
    for damaged, message in (
        (data[:70000], "damaged"),
        (b"", "damaged"),
        (None, "lacks the shard data-00001"),
    ):
        name.unlink(missing_ok=True)
        if damaged is not None:
            name.write_bytes(damaged)
        with pytest.raises(UserError, match=message):
            ArrayRecordSource(root=str(tmp_path / "out")).build()
        assert len(ArrayRecordSource(root=str(tmp_path / "out"), strict=False).build()) == 18


def test_check_lists_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_folder(tmp_path / "in", 7)
    assert main(["check", str(root)]) == 0
    assert capsys.readouterr().out == "7 records, 0 faults\n"
    (root / "003.png").write_bytes(b"broken")
    (root / "005.txt").unlink()
    assert main(["check", str(root)]) == 1
    out = capsys.readouterr().out
    assert "image 005.png has no caption" in out
    assert "cannot decode image '003.png'" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare"], "the following arguments are required"),
        (["cut"], "unknown command of `i1 data` 'cut'"),
        (
            ["check", "nowhere"],
            "no file or folder 'nowhere', and no source of that name; choices: array_record",
        ),
        (["check", "image_folder:root"], "expected NAME:FIELD=VALUE"),
        (["prepare", "scenes", "out", "--resolution", "0"], "resolution must be at least 1"),
        (["prepare", "scenes", "out", "--resolution", "8", "--buckets", "8"], "expected 'aspect' or sizes"),
        (
            ["prepare", "scenes", "out", "--resolution", "8", "--background", "red"],
            "expected a colour such as",
        ),
        (["prepare", "scenes", "out", "--resolution", "8", "--filter", "min"], "unknown"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(arguments)
