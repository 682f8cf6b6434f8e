"""The framing of a TFRecord file: length, checksum of the length, payload, checksum of the payload.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c
import numpy as np
from i1_hooks import UserError

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")


def scan_records(path: Path) -> tuple[np.ndarray, str]:
    """Finds the payloads of a file by following their lengths.

    Returns:
        int64 of shape (records, 2), offset of the first byte and length of each payload before any damage,
        and a message that names the file and the offset of the damage, otherwise `""`.

    Raises:
        UserError: naming a file that cannot be read.
    """
    found: list[tuple[int, int]] = []
    damage = ""
    try:
        size = path.stat().st_size
        offset = 0
        with path.open("rb") as file:
            while offset < size and not damage:
                file.seek(offset)
                header = file.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    damage = _damaged(path, offset, "the file ends within a record")
                    continue
                length, checksum = _HEADER.unpack(header)
                start = offset + _HEADER.size
                offset = start + length + _CHECKSUM.size
                if masked_crc32c(header[:8]) != checksum:
                    damage = _damaged(path, start - _HEADER.size, "the checksum of a length does not match")
                elif offset > size:
                    damage = _damaged(path, start, "the file ends within a record")
                else:
                    found.append((start, length))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return np.array(found, np.int64).reshape(-1, 2), damage


def index_records(path: Path) -> np.ndarray:
    """Returns offset and length of every payload of a file, int64 of shape (records, 2).

    Raises:
        UserError: naming the file and the offset, where it is damaged or ends early.
    """
    places, damage = scan_records(path)
    if damage:
        raise UserError(damage)
    return places


def read_record(path: Path, offset: int, length: int) -> bytes:
    """Returns one payload, after comparing its checksum.

    Raises:
        UserError: naming the file and the offset of a damaged record.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(length + _CHECKSUM.size)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(block) != length + _CHECKSUM.size:
        raise UserError(_damaged(path, offset, "the file ends within a record"))
    payload = block[:length]
    if masked_crc32c(payload) != _CHECKSUM.unpack_from(block, length)[0]:
        raise UserError(_damaged(path, offset, "the checksum of a record does not match"))
    return payload


def masked_crc32c(data: bytes) -> int:
    """Returns the CRC-32C as TFRecord files store it: rotated right by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged(path: Path, offset: int, reason: str) -> str:
    return f"{path} is damaged at byte {offset}: {reason}; fetch the file again"
