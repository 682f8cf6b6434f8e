"""One safetensors reader and writer, against the library."""

import json
import random

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from i1_hooks import UserError
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.safetensors import open_safetensors
from i1_model.arrays.safetensors_writer import write_safetensors

ARRAYS = {
    "b": np.arange(5, dtype=np.float32).astype(jnp.bfloat16),
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "empty": np.zeros((0, 4), np.float16),
    "number": np.array(2.5),
    "count": np.array([1, 2], np.int64),
    "mask": np.array([True, False]),
}


def with_header(header: object, num_bytes: int = 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * num_bytes


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def test_the_library_reads_what_is_written_and_the_other_way_round(tmp_path):
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    with ours.open("wb") as file:
        write_safetensors(file, {name: LazyArray.of(array) for name, array in ARRAYS.items()}, {"a": "b"})
    safetensors.numpy.save_file(ARRAYS, theirs, metadata={"a": "b"})
    for path in (ours, theirs):
        found, read = open_safetensors(path), safetensors.numpy.load_file(path)
        assert found.metadata == {"a": "b"}
        assert found.arrays.keys() == read.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            for other in (np.asarray(found.arrays[name]), read[name]):
                assert (other.dtype, other.shape) == (array.dtype, array.shape)
                assert other.tobytes() == array.tobytes()


REFUSED = {
    "metadata that is a number": with_header({"__metadata__": {"a": 1}, "w": ENTRY}),
    "metadata that is nested": with_header({"__metadata__": {"a": {"b": "c"}}, "w": ENTRY}),
    "metadata that is a list": with_header({"__metadata__": [], "w": ENTRY}),
    "metadata that is a text": with_header({"__metadata__": "a", "w": ENTRY}),
    "a hole": with_header({"w": {**ENTRY, "data_offsets": [4, 12]}}, 12),
    "an overlap": with_header({"v": ENTRY, "w": {**ENTRY, "data_offsets": [4, 12]}}, 12),
    "the same bytes twice": with_header({"v": ENTRY, "w": ENTRY}),
    "negative sizes": with_header({"w": {**ENTRY, "shape": [-1, -2]}}),
    "sizes that are not whole": with_header({"w": {**ENTRY, "shape": [2.0]}}),
    "sizes that are true": with_header({"w": {**ENTRY, "shape": [True, 2]}}),
    "a huge size": with_header({"w": {**ENTRY, "shape": [2**64, 0], "data_offsets": [0, 0]}}, 0),
    "offsets in the other order": with_header({"w": {**ENTRY, "shape": [0], "data_offsets": [8, 8]}}),
    "a missing field": with_header({"w": {"dtype": "F32", "shape": [2]}}),
    "an unknown dtype": with_header({"w": {**ENTRY, "dtype": "F33"}}),
    "a dtype that is a list": with_header({"w": {**ENTRY, "dtype": ["F32"]}}),
    "a list": with_header([]),
    "a number": with_header(5),
    "an entry that is a number": with_header({"w": 5}),
    "bytes that are no text": with_header(b'{"w\xff": {}}'),
    "half a character": with_header(b'{"\\ud800": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
    "more bytes": with_header({"w": ENTRY}, 9),
    "fewer bytes": with_header({"w": ENTRY}, 7),
    "no header": b"\0" * 8,
    "a long header": (2**40).to_bytes(8, "little") + b"{}",
    "nothing": b"",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_library_refuses_is_refused(what: str, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(REFUSED[what])
    with pytest.raises(safetensors.SafetensorError), safetensors.safe_open(path, "np"):
        pass
    with pytest.raises(UserError, match=r"a\.safetensors") as error:
        open_safetensors(path)
    assert "\n" not in str(error.value)


def test_a_name_that_stands_twice(tmp_path):
    entry = json.dumps(ENTRY)
    (tmp_path / "a.safetensors").write_bytes(with_header(f'{{"w": {entry}, "w": {entry}}}'.encode()))
    with pytest.raises(UserError, match="a name stands twice"):
        open_safetensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("metadata", [None, {}, {"a": ""}])
def test_metadata_that_the_library_accepts_is_accepted(metadata, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(with_header({"__metadata__": metadata, "w": ENTRY}))
    with safetensors.safe_open(tmp_path / "a.safetensors", "np") as file:
        assert (file.metadata() or {}) == (metadata or {})
    assert open_safetensors(tmp_path / "a.safetensors").metadata == (metadata or {})


def test_whatever_is_accepted_is_accepted_by_the_library_with_the_same_values(tmp_path):
    """Damaged headers: none that only one of the two readers takes, but for dtypes that only it knows."""
    rng, path = random.Random(1), tmp_path / "a.safetensors"
    data = safetensors.numpy.save(ARRAYS, metadata={"a": "b"})
    length = 8 + int.from_bytes(data[:8], "little")
    accepted = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 2))):
            damaged[rng.randrange(8, length)] = rng.choice(b'0123456789"{}[],:-. abFUI\\\xff')
        path.write_bytes(damaged)
        try:
            theirs = safetensors.numpy.load_file(path)
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError):
            theirs = None
        ours, refusal = None, ""
        try:
            ours = open_safetensors(path).arrays
        except UserError as error:
            refusal = str(error)
        if ours is None:
            assert theirs is None or "this i1 reads" in refusal or "stands twice" in refusal, refusal
            continue
        assert theirs is not None, bytes(damaged)
        accepted += 1
        assert {n: np.asarray(a).tobytes() for n, a in ours.items() if a.dtype.kind in "bi"} == {
            n: a.tobytes() for n, a in theirs.items() if a.dtype.kind in "bi"
        }
        assert {n: (a.shape, a.dtype) for n, a in ours.items()} == {
            n: (a.shape, a.dtype) for n, a in theirs.items()
        }
    assert accepted > 50
