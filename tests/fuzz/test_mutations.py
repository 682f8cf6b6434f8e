"""The fuzzing itself: damage is reproducible, and every way of failing is reported."""

import random
from pathlib import Path

import pytest
from i1_hooks import UserError
from mutations import Format, fuzz, mutate, mutate_json


def test_damage_follows_from_the_seed():
    data = random.Random(0).randbytes(3000) + b'{"shape": [3, 17]}'
    assert [mutate(data, random.Random(i)) for i in range(50)] == [
        mutate(data, random.Random(i)) for i in range(50)
    ]
    assert len({mutate(data, random.Random(i)) for i in range(200)}) > 180
    assert all(isinstance(mutate(b"", random.Random(i)), bytes) for i in range(200))
    value = {"model": {"depth": 3, "widths": [1, 2], "name": "x"}}
    assert len({repr(mutate_json(value, random.Random(i))) for i in range(200)}) > 50
    assert value == {"model": {"depth": 3, "widths": [1, 2], "name": "x"}}


def make(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"a" * 50)


def careful(folder: Path) -> None:
    if (folder / "a.txt").read_bytes() != b"a" * 50:
        raise UserError("a.txt is damaged: copy it again")


def talkative(folder: Path) -> None:
    if (folder / "a.txt").read_bytes() != b"a" * 50:
        raise UserError("a.txt\nis damaged")


def careless(folder: Path) -> None:
    (folder / "a.txt").read_bytes().decode("ascii")


def greedy(folder: Path) -> None:
    bytearray(2**31 if (folder / "a.txt").read_bytes() != b"a" * 50 else 1)


def slow(folder: Path) -> None:
    while (folder / "a.txt").read_bytes() != b"a" * 50:
        pass


def fatal(folder: Path) -> None:
    import os

    if (folder / "a.txt").read_bytes() != b"a" * 50:
        os.abort()


FORMATS = {
    "careful": Format(make, careful),
    "talkative": Format(make, talkative),
    "careless": Format(make, careless),
    "greedy": Format(make, greedy),
    "slow": Format(make, slow, seconds=1),
    "fatal": Format(make, fatal),
}


def test_success_and_errors_for_users_are_fine():
    fuzz(__file__, "careful", inputs=100, seed=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("talkative", r"input 0 of talkative: more than one line: a\.txt"),
        (
            "careless",
            r"\d+ of 100 inputs failed:\ninput \d+ of careless: UnicodeDecodeError at test_mutations\.",
        ),
        ("greedy", r"\d+ of 100 inputs failed:\ninput 0 of greedy: MemoryError"),
        ("slow", r"the process ended with 1 at input 0 of slow:\nTimeout"),
        ("fatal", r"the process ended with -6 at input 0 of fatal:"),
    ],
)
def test_everything_else_is_named(name: str, message: str):
    with pytest.raises(AssertionError, match=message):
        fuzz(__file__, name, inputs=100, seed=1)
