"""Parsing and writing of `tf.train.Example` messages.

An Example is a map from names to lists of bytes, floats or integers, in the protocol-buffer encoding:
https://protobuf.dev/programming-guides/encoding/ and tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Feature = list[bytes] | list[float] | list[int]


def parse_example(data: bytes) -> dict[str, Feature]:
    """Returns the features of a serialized Example by name; a feature without a value is an empty list.

    Raises:
        ValueError: for bytes that are no Example.
    """
    features: dict[str, Feature] = {}
    try:
        for number, body in _fields(memoryview(data)):
            if number == 1:
                for _, entry in _fields(body):
                    name, feature = "", memoryview(b"")
                    for part, value in _fields(entry):
                        if part == 1:
                            name = bytes(value).decode()
                        elif part == 2:
                            feature = value
                    features[name] = _feature(feature)
    except (IndexError, TypeError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("not a serialized tf.train.Example") from error
    return features


def serialize_example(features: Mapping[str, Sequence[bytes] | Sequence[float] | Sequence[int]]) -> bytes:
    """Returns an Example with these features, in their order; `parse_example` undoes it.

    An empty list becomes a feature without a value.
    """
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _write_feature(values)))
        for name, values in features.items()
    )
    return _field(1, b"".join(entries))


def _write_feature(values: Sequence[bytes] | Sequence[float] | Sequence[int]) -> bytes:
    if not values:
        return b""
    if isinstance(values[0], bytes):
        return _field(1, b"".join(_field(1, value) for value in values if isinstance(value, bytes)))
    if isinstance(values[0], float):
        return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
    numbers = b"".join(_write_varint(value & ((1 << 64) - 1)) for value in values if isinstance(value, int))
    return _field(3, _field(1, numbers))


def _field(number: int, body: bytes) -> bytes:
    return _write_varint(number << 3 | 2) + _write_varint(len(body)) + body


def _write_varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _feature(data: memoryview) -> Feature:
    for kind, body in _fields(data):
        values = [value for _, value in _fields(body)]
        if kind == 1:
            return [bytes(value) for value in values]
        if kind == 2:
            return [number for value in values for number in struct.unpack(f"<{len(value) // 4}f", value)]
        if kind == 3:
            return [number for value in values for number in _integers(value)]
    return []


def _integers(value: memoryview | int) -> Iterator[int]:
    if isinstance(value, int):
        yield _signed(value)
        return
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        yield _signed(number)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields number and value of each field: an int for a varint, a memoryview of the bytes for all else."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise IndexError(f"wire type {wire}")
        if position + length > len(data):
            raise IndexError("the message ends within a field")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
