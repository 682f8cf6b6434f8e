import struct
from pathlib import Path

import pytest
from i1_data.records.example import parse_example
from i1_data.records.tfrecord import index_records, masked_crc32c, read_record
from i1_hooks import UserError


def test_the_checksum_of_the_published_test_vectors() -> None:
    # RFC 3720, appendix B.4, masked as TFRecord files store it
    for data, crc in ((bytes(32), 0x8A9136AA), (bytes(range(32)), 0x46DD794E), (b"", 0)):
        assert masked_crc32c(data) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, payload))
    return length + next(checksums) + payload + next(checksums)


def test_records_are_found_and_read(tmp_path: Path) -> None:
    payloads = [b"", b"one", b"x" * 1000]
    path = tmp_path / "file"
    path.write_bytes(b"".join(map(framed, payloads)))
    places = index_records(path)
    assert [read_record(path, int(offset), int(length)) for offset, length in places] == payloads


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert index_records(path).shape == (0, 2)


@pytest.mark.parametrize("cut", [1, 5, 500, 1008])
def test_a_cut_file_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes((framed(b"one") + framed(b"x" * 1000))[:-cut])
    with pytest.raises(UserError, match=r"cut is damaged at byte .*ends within a record"):
        index_records(path)


def test_a_flipped_length_is_found(tmp_path: Path) -> None:
    data = bytearray(framed(b"one"))
    data[0] ^= 1
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UserError, match="checksum of a length"):
        index_records(path)


def test_a_flipped_payload_is_found(tmp_path: Path) -> None:
    data = bytearray(framed(b"x" * 1000))
    data[700] ^= 1
    path = tmp_path / "file"
    path.write_bytes(data)
    (offset, length) = index_records(path)[0]
    with pytest.raises(UserError, match="checksum of a record"):
        read_record(path, int(offset), int(length))


def field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2, len(body)]) + body


def example(**features: bytes) -> bytes:
    entries = (field(1, field(1, name.encode()) + field(2, body)) for name, body in features.items())
    return field(1, b"".join(entries))


def test_example_of_every_kind() -> None:
    message = example(
        texts=field(1, field(1, b"one") + field(1, b"")),
        floats=field(2, field(1, struct.pack("<2f", 0.5, -2.0))),
        loose=field(2, b"\x0d" + struct.pack("<f", 1.5)),
        packed=field(3, field(1, b"\x05\xac\x02" + b"\xff" * 9 + b"\x01")),
        single=field(3, b"\x08\x07"),
        empty=b"",
    )
    assert parse_example(message) == {
        "texts": [b"one", b""],
        "floats": [0.5, -2.0],
        "loose": [1.5],
        "packed": [5, 300, -1],
        "single": [7],
        "empty": [],
    }


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\x0f", b"\x08", b"\x0a\x02\x08\x01", b"\x80"])
def test_bytes_that_are_no_example(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a serialized"):
        parse_example(data)
