"""The framing of a TFRecord file: length, checksum of the length, payload, checksum of the payload.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from i1_hooks import UserError

from i1_data.records.crc32c import masked_crc32c

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")


def index_records(path: Path) -> np.ndarray:
    """Returns where the payloads of a file begin and end, by following the lengths.

    Returns:
        int64 of shape (records, 2): offset of the first byte and length of each payload.

    Raises:
        UserError: naming the file and the offset, where it is damaged or ends early.
    """
    size = path.stat().st_size
    found: list[tuple[int, int]] = []
    offset = 0
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise _damaged(path, offset, "the file ends within a record")
            length, checksum = _HEADER.unpack(header)
            if masked_crc32c(header[:8]) != checksum:
                raise _damaged(path, offset, "the checksum of a length does not match")
            start = offset + _HEADER.size
            offset = start + length + _CHECKSUM.size
            if offset > size:
                raise _damaged(path, start, "the file ends within a record")
            found.append((start, length))
    return np.array(found, np.int64).reshape(-1, 2)


def read_record(path: Path, offset: int, length: int) -> bytes:
    """Returns one payload, after comparing its checksum.

    Raises:
        UserError: naming the file and the offset of a damaged record.
    """
    with path.open("rb") as file:
        file.seek(offset)
        block = file.read(length + _CHECKSUM.size)
    if len(block) != length + _CHECKSUM.size:
        raise _damaged(path, offset, "the file ends within a record")
    payload = block[:length]
    if masked_crc32c(payload) != _CHECKSUM.unpack_from(block, length)[0]:
        raise _damaged(path, offset, "the checksum of a record does not match")
    return payload


def _damaged(path: Path, offset: int, reason: str) -> UserError:
    return UserError(f"{path} is damaged at byte {offset}: {reason}; fetch the file again")
