"""Damaged inputs for every reader: only success or a `UserError`, within limits of time and memory.

A test module lists its formats and calls `fuzz` for each:

    FORMATS = {"npz": Format(make_npz, read_npz)}

    @pytest.mark.parametrize("name", FORMATS)
    def test_damaged_inputs(name):
        fuzz(__file__, name, inputs=500, seed=1)

`fuzz` starts a process of its own for them, which limits its memory and is killed when one input takes too
long. Each input follows from the seed and its number alone, so that a failure can be repeated:

    python tests/fuzz/mutations.py tests/fuzz/test_files.py npz --seed 1 --first 17 --inputs 1
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError

_SHOWN = 5
"""Failures that a message shows."""
_TRIES = 10
"""How often damage that changes nothing is tried again."""


@dataclass(frozen=True)
class Format:
    """How an input of one format is made and read.

    Attributes:
        make: writes a valid input into an empty folder.
        read: reads the input in a folder to its end.
        mutated: glob patterns of the files that are damaged, one of them per input.
        seconds: the longest that one input may take.
        megabytes: the memory that reading may need beyond what the process holds after a valid input.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    mutated: tuple[str, ...] = ("*",)
    seconds: float = 20.0
    megabytes: int = 512


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns the bytes with one to three kinds of damage: what disks, transfers and editors do."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(_DAMAGES)(data, rng)
    return data


def mutate_json(value: Any, rng: random.Random) -> Any:
    """Returns a JSON value with one part replaced, removed, repeated or renamed; the given one stays."""
    value = json.loads(json.dumps(value))
    places = _places(value)
    if not places:
        return rng.choice(_VALUES)
    holder, key = rng.choice(places)
    what = rng.randrange(6)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[f"{key}{rng.choice(('x', ' ', '_', '.0', ''))}"] = holder.pop(key)
    elif what == 2 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif what == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
        holder[key] = rng.choice((holder[key] + 1, holder[key] - 1, -holder[key], holder[key] * 2**20))
    elif what == 4:
        other, name = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[name])) if name in _keys(other) else None
    else:
        holder[key] = rng.choice(_VALUES)
    return value


def fuzz(module: str, name: str, *, inputs: int, seed: int, first: int = 0) -> None:
    """Reads damaged inputs of a format, or of several one after another, in a process of its own.

    Args:
        module: path of the module whose `FORMATS` has the format.
        name: of the format, or several with commas between them.
        inputs: how many of each.
        seed: which.
        first: number of the first input.

    Raises:
        AssertionError: naming inputs that ended in anything but success or a `UserError`, that took too long,
            that needed too much memory, or that ended the process.
    """
    arguments = [module, name, "--seed", str(seed), "--inputs", str(inputs), "--first", str(first)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    failures = [line for line in lines if "failure" in line]
    if ended.returncode and not failures:
        last = next((line["reading"] for line in reversed(lines) if "reading" in line), "none")
        report = "\n".join(ended.stderr.splitlines()[-40:])
        raise AssertionError(f"{name}: the process ended with {ended.returncode} at input {last}:\n{report}")
    shown = "\n".join(f"input {line['number']}: {line['failure']}" for line in failures[:_SHOWN])
    names = name.split(",")
    of_each = f"{inputs} inputs" + (" of each" if len(names) > 1 else "")
    assert not failures, f"{name}, seed {seed}: {len(failures)} of {of_each} failed:\n{shown}"
    assert [line["done"] for line in lines if "done" in line] == names, f"{name}: the process stopped early"


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(changed), rng.choice((1, 1, 2, 8)))):
        changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _replace_byte(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return data
    at = _place(data, rng)
    return data[:at] + bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) + data[at + 1 :]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((rng.randrange(len(data) + 1), max(0, len(data) - rng.randrange(1, 16))))]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at, count = _place(data, rng), rng.choice((1, 2, 7, 64, 1000))
    return data[:at] + rng.choice((b"\0" * count, b"\xff" * count, rng.randbytes(count))) + data[at:]


def _remove(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 64, 1000)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, count = _place(data, rng), rng.choice((1, 4, 64, 1000))
    return data[:at] + data[at : at + count] * rng.choice((2, 3, 50)) + data[at + count :]


def _exchange(data: bytes, rng: random.Random) -> bytes:
    one, other = sorted((_place(data, rng), _place(data, rng)))
    count = min(rng.choice((1, 4, 64, 1000)), other - one)
    middle = data[one + count : other]
    return data[:one] + data[other : other + count] + middle + data[one : one + count] + data[other + count :]


def _extreme_integer(data: bytes, rng: random.Random) -> bytes:
    size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
    number = rng.choice((0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1, 2**16 - 2))
    at = _place(data, rng)
    return data[:at] + number.to_bytes(size, order) + data[at + size :]


def _extreme_digits(data: bytes, rng: random.Random) -> bytes:
    """Replaces a number that is written in digits, as in JSON, the headers of npy and of tar."""
    runs, start = [], None
    for at, byte in enumerate(data[:65536]):
        if 0x30 <= byte <= 0x39:
            start = at if start is None else start
        elif start is not None:
            runs.append((start, at))
            start = None
    if not runs:
        return _extreme_integer(data, rng)
    begin, end = rng.choice(runs)
    extremes = (b"0", b"-1", b"1e309", b"NaN", b"99999999999999999999", b"4294967296", b"7", b"true")
    number = rng.choice(extremes)
    if rng.random() < 0.3:
        number = number[: end - begin].rjust(end - begin, b"0")
    return data[:begin] + number + data[end:]


def _not_text(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    text = rng.choice((b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\x80", "\u2028".encode(), b"\r\n", b"\0"))
    return data[:at] + text + data[at + rng.choice((0, len(text))) :]


_DAMAGES = (
    _flip,
    _replace_byte,
    _truncate,
    _insert,
    _remove,
    _repeat,
    _exchange,
    _extreme_integer,
    _extreme_digits,
    _not_text,
)
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        0.5,
        -0.0,
        1e308,
        -1e308,
        2**31,
        2**63,
        10**30,
        float("inf"),
        float("nan"),
    ),
    *("", "x", "\0", "\ud800", "1", "a" * 5000, [], {}, [0], [[]], {"a": 1}, [None, "x"], {"component": 5}),
)


def _place(data: bytes, rng: random.Random) -> int:
    """Returns a position; near the ends, where headers and directories are, more often than elsewhere."""
    if not data:
        return 0
    near = rng.random()
    if near < 0.4:
        return rng.randrange(min(len(data), 512))
    if near < 0.6:
        return len(data) - 1 - rng.randrange(min(len(data), 512))
    return rng.randrange(len(data))


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    for key in _keys(value):
        found += [(value, key), *_places(value[key])]
    return found


def _keys(value: Any) -> list[Any]:
    return (
        list(value) if isinstance(value, dict) else list(range(len(value) if isinstance(value, list) else 0))
    )


def _damage(folder: Path, patterns: tuple[str, ...], rng: random.Random) -> None:
    """Damages one file of a folder: its bytes, or the values of a JSON file."""
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    path = rng.choice(files)
    data = path.read_bytes()
    damaged = data
    for _ in range(_TRIES):
        if path.suffix == ".json" and rng.random() < 0.7:
            damaged = json.dumps(mutate_json(json.loads(data), rng)).encode()
        else:
            damaged = mutate(data, rng)
        if damaged != data:
            break
    path.write_bytes(damaged)


def _formats(module: str) -> Mapping[str, Format]:
    spec = importlib.util.spec_from_file_location("formats", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["formats"] = loaded
    spec.loader.exec_module(loaded)
    return loaded.FORMATS


@contextmanager
def _limited_memory(megabytes: int) -> Iterator[None]:
    """Limits the address space to what it is and so much more; elsewhere than on Linux nothing is limited."""
    if sys.platform != "linux":
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _read_all(name: str, format_: Format, folder: Path, *, inputs: int, seed: int, first: int) -> None:
    valid = folder / "valid"
    valid.mkdir(parents=True)
    format_.make(valid)
    format_.read(valid)
    with _limited_memory(format_.megabytes):
        _read_damaged(name, format_, valid, inputs=inputs, seed=seed, first=first)
    print(json.dumps({"done": name}), flush=True)


def _read_damaged(name: str, format_: Format, valid: Path, *, inputs: int, seed: int, first: int) -> None:
    for number in range(first, first + inputs):
        place = valid.parent / "input"
        shutil.copytree(valid, place)
        _damage(place, format_.mutated, random.Random(f"{seed} {number}"))
        label = f"{number} of {name}"
        print(json.dumps({"reading": label}), flush=True)
        faulthandler.dump_traceback_later(format_.seconds, exit=True)
        try:
            format_.read(place)
        except UserError as error:
            if "\n" in str(error):
                print(json.dumps({"number": label, "failure": f"more than one line: {error}"}), flush=True)
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)[-1:]
            where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in frames)
            text = f"{type(error).__name__}{where}: {str(error)[:300]}"
            print(json.dumps({"number": label, "failure": text}), flush=True)
        finally:
            faulthandler.cancel_dump_traceback_later()
        shutil.rmtree(place)


def main() -> None:
    """Reads damaged inputs and prints a JSON line for each, and one for each failure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("module")
    parser.add_argument("name")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    sys.path.append(str(Path(__file__).parent))
    formats = _formats(arguments.module)
    which = {"inputs": arguments.inputs, "seed": arguments.seed, "first": arguments.first}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(arguments.name.split(",")):
            _read_all(name, formats[name], Path(folder) / str(number), **which)


if __name__ == "__main__":
    main()
