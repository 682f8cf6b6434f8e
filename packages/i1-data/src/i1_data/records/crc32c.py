"""CRC-32C, the checksum of TFRecord files, vectorised over the message.

The register after a message is linear in its bytes, so that parts can be processed side by side and joined:
the register of `ab` is that of `a` advanced by `len(b)` zero bytes, xor that of `b`.
Source: Castagnoli, Braeuer & Herrmann 1993 (the polynomial); https://www.tensorflow.org/tutorials/load_data/tfrecord
(the mask).
"""

from __future__ import annotations

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # reflected
_SHORT = 64


@functools.cache
def _byte_table() -> np.ndarray:
    """Returns the register after each byte value, uint32 of shape (256,)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@functools.cache
def _byte_list() -> list[int]:
    return [int(value) for value in _byte_table()]


@functools.cache
def _advance_tables(exponent: int) -> np.ndarray:
    """Returns what `2**exponent` zero bytes do to each byte of a register, uint32 of shape (4, 256)."""
    if exponent == 0:
        values = np.arange(256, dtype=np.uint32)
        return np.stack([_byte_table(), values, values << 8, values << 16])
    return _advance(_advance_tables(exponent - 1), exponent - 1)


def _advance(registers: np.ndarray, exponent: int) -> np.ndarray:
    """Advances registers of any shape by `2**exponent` zero bytes."""
    tables = _advance_tables(exponent)
    result = tables[0][registers & 0xFF]
    for byte in (1, 2, 3):
        result ^= tables[byte][(registers >> (8 * byte)) & 0xFF]
    return result


def crc32c(data: bytes | memoryview) -> int:
    """Returns the CRC-32C of `data` as an unsigned 32-bit number."""
    if len(data) < _SHORT:
        register = 0xFFFFFFFF
        table = _byte_list()
        for byte in data:
            register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
        return register ^ 0xFFFFFFFF
    return _crc32c_parallel(data)


def _crc32c_parallel(data: bytes | memoryview) -> int:
    total = (len(data) - 1).bit_length()
    width = total // 2  # 2**width bytes per part, 2**(total - width) parts
    padded = np.zeros(1 << total, np.uint8)  # leading zeros leave a register of zero alone
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[-len(data) :][:4] ^= 0xFF  # stands for the initial register of ones
    columns = np.ascontiguousarray(padded.reshape(-1, 1 << width).T)
    table = _byte_table()
    registers = np.zeros(columns.shape[1], np.uint32)
    for column in columns:
        registers = table[(registers ^ column) & 0xFF] ^ (registers >> 8)
    exponent = width
    while registers.size > 1:
        registers = _advance(registers[0::2], exponent) ^ registers[1::2]
        exponent += 1
    return int(registers[0]) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """Returns the checksum as TFRecord files store it: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
