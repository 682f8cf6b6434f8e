"""Where pictures go: nothing is written over another file, whoever writes at the same time."""

import errno
import threading

import pytest
from i1_hooks import UserError
from i1_sample.outputs import plan_outputs


@pytest.mark.parametrize("output", [None, "picture.png", "folder"])
def test_two_commands_at_once_keep_both_pictures(output, tmp_path, monkeypatch):
    """All look for free names before any has written, as commands that start together do."""
    monkeypatch.chdir(tmp_path)
    plans = [plan_outputs(output, ["a star"], 1) for _ in range(8)]
    paths = []

    def write(index):
        paths.append(plans[index].write(0, bytes([index])))

    threads = [threading.Thread(target=write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 8
    assert {path.read_bytes() for path in paths} == {bytes([index]) for index in range(8)}


def test_pictures_of_one_command_have_different_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs = plan_outputs(None, ["A star!", "a star", "\N{PILE OF POO}" * 300], 2)
    names = [outputs.write(position, b"x").name for position in range(6)]
    assert names[:4] == ["a-star.png", "a-star-1.png", "a-star-2.png", "a-star-3.png"]
    assert names[4:] == ["picture.png", "picture-1.png"]


def test_a_name_that_is_too_long_is_cut(tmp_path):
    long = str(tmp_path / f"{'x' * 251}.png")
    first, second = (plan_outputs(long, ["a"], 1).write(0, b"x") for _ in range(2))
    assert len(first.name) <= 200
    assert first.name != second.name


def test_numbers_continue_after_those_in_the_folder(tmp_path):
    for name in ("00007.png", "9.png", "notes.png", "00009.txt"):
        (tmp_path / name).touch()
    outputs = plan_outputs(str(tmp_path), ["a", "b"], 1)
    assert [outputs.write(position, b"x").name for position in range(2)] == ["00008.png", "00009.png"]


def test_a_folder_that_went_away_is_made_again(tmp_path):
    outputs = plan_outputs(f"{tmp_path}/run.v2/", ["a"], 1)
    (tmp_path / "run.v2").rmdir()
    assert outputs.write(0, b"x") == tmp_path / "run.v2" / "00000.png"


def test_no_room_for_a_picture(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    outputs = plan_outputs(str(tmp_path / "a.png"), ["a"], 1)
    monkeypatch.setattr("i1_hooks.files.os.fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.png: No space left on device; choose another"):
        outputs.write(0, b"picture")
    assert not list(tmp_path.iterdir())
