"""What an image file holds besides pixels, taken off so that it cannot decide whether the pixels are good."""

from __future__ import annotations

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"


def strip_metadata(data: bytes) -> tuple[bytes, bytes | None]:
    """Returns a PNG, JPEG or WebP file without its metadata, and the EXIF block that it held.

    Text, colour profiles, EXIF and other application data go; everything that decides a pixel stays. A
    file of another format is returned as it is.
    """
    if data.startswith(_PNG):
        return _strip_png(data)
    if data.startswith(_JPEG):
        return _strip_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _strip_webp(data)
    return data, None


def _strip_png(data: bytes) -> tuple[bytes, bytes | None]:
    """Keeps critical chunks, whose names begin with a capital, and transparency."""
    kept, exif, position = [_PNG], None, len(_PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name, end = data[position + 4 : position + 8], position + 12 + length
        if name[:1].isupper() or name == b"tRNS":
            kept.append(data[position:end])
        elif name == b"eXIf":
            exif = data[position + 8 : end - 4]
        position = end
    return b"".join(kept), exif


def _strip_jpeg(data: bytes) -> tuple[bytes, bytes | None]:
    """Drops comments and application segments, all but JFIF and Adobe, which say how colours are coded."""
    kept, exif, position = [_JPEG], None, len(_JPEG)
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, position + 2)
        marker, end = data[position + 1], position + 2 + length
        segment = data[position:end]
        if marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            exif = segment[10:]
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(segment)
        position = end
    return b"".join([*kept, data[position:]]), exif


def _strip_webp(data: bytes) -> tuple[bytes, bytes | None]:
    kept, exif, position = [b"WEBP"], None, 12
    while position + 8 <= len(data):
        name, length = data[position : position + 4], struct.unpack_from("<I", data, position + 4)[0]
        end = position + 8 + length + length % 2
        chunk = data[position:end]
        if name == b"EXIF":
            exif = chunk[8 : 8 + length].removeprefix(b"Exif\0\0")
        elif name == b"VP8X":  # its flags must not promise chunks that are gone
            kept.append(chunk[:8] + bytes([chunk[8] & ~0x2C]) + chunk[9:] if len(chunk) > 8 else chunk)
        elif name not in (b"ICCP", b"XMP "):
            kept.append(chunk)
        position = end
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body, exif
