"""Messages as one line of bounded length."""

from __future__ import annotations

_UNPRINTABLE = {code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    code: f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
    for code in range(0xD800, 0xE000)
}
"""Control characters and lone surrogates, with what is shown in their place."""


def one_line(message: object) -> str:
    """Returns a message or an error as one line that any terminal can print.

    White space of any kind becomes one space. Control characters, and the bytes of file names that are not
    UTF-8, show as escapes. An error without words shows as the name of its type.
    """
    line = " ".join(str(message).split()).translate(_UNPRINTABLE)
    return line or (type(message).__name__ if isinstance(message, BaseException) else "")


def shorten(text: str, limit: int = 200) -> str:
    """Returns a text of at most `limit` characters, with dots where it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
