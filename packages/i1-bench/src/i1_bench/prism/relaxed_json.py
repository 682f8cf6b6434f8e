"""JSON as language models write it: with single quotes, bare keys, comments and JavaScript numbers."""

from __future__ import annotations

import re
from typing import Any


class Undefined:
    """The value `undefined` of JavaScript, which JSON cannot hold."""


UNDEFINED = Undefined()

_SPACE = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<hex>0[xX][0-9a-fA-F]+)|(?P<octal>0[oO][0-7]+)|(?P<binary>0[bB][01]+)"
    r"|(?P<decimal>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))(?![\w.])"
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_CONSTANTS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "undefined": UNDEFINED,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_CODE = re.compile(r"u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})")


def parse(text: str) -> Any:
    """Returns the value of a text that is relaxed JSON throughout.

    Besides JSON it may hold strings in single quotes with tabs, names as keys, `//` and `/* */` comments,
    trailing commas, `undefined`, `NaN`, `Infinity`, and numbers as `+5`, `.5`, `5.`, `05` and `0x8`. The last
    of equal keys wins.

    Raises:
        ValueError: for anything else, also after the value.
    """
    value, end = _value(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise ValueError(f"unexpected text at character {end}")
    return value


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    start = text[at : at + 1]
    if start == "{":
        return _object(text, at + 1)
    if start == "[":
        return _list(text, at + 1)
    if start in ("'", '"'):
        return _string(text, at + 1, start)
    if name := re.compile(r"([+-]?)([A-Za-z_$][\w$]*)").match(text, at):
        sign, word = name.groups()
        if word in _CONSTANTS and (not sign or word in ("NaN", "Infinity")):
            constant = _CONSTANTS[word]
            return (-constant if sign == "-" else constant), name.end()
    if number := _NUMBER.match(text, at):
        return _number(number), number.end()
    raise ValueError(f"no value at character {at}")


def _number(found: re.Match[str]) -> int | float:
    sign = -1 if found["sign"] == "-" else 1
    if (decimal := found["decimal"]) is not None:
        return sign * (int(decimal) if decimal.isdigit() else float(decimal))
    base, digits = next((b, found[b]) for b in ("hex", "octal", "binary") if found[b])
    return sign * int(digits[2:], {"hex": 16, "octal": 8, "binary": 2}[base])


def _string(text: str, at: int, quote: str) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(parts), at + 1
        if character in "\r\n":
            break
        if character != "\\":
            parts.append(character)
            at += 1
        elif code := _CODE.match(text, at + 1):
            parts.append(chr(int(code[1] or code[2], 16)))
            at = code.end()
        else:
            escaped = text[at + 1 : at + 2]
            parts.append(_ESCAPES.get(escaped, escaped))
            at += 2
    raise ValueError("a string does not end")


def _list(text: str, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    at = _skip(text, at)
    while text[at : at + 1] != "]":
        value, at = _value(text, at)
        values.append(value)
        at = _next(text, at, "]")
    return values, at + 1


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    at = _skip(text, at)
    while text[at : at + 1] != "}":
        key, at = _key(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"no colon at character {at}")
        values[key], at = _value(text, _skip(text, at + 1))
        at = _next(text, at, "}")
    return values, at + 1


def _key(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] in ("'", '"') and text[at : at + 1]:
        return _string(text, at + 1, text[at])
    if name := _NAME.match(text, at):
        return name.group(), name.end()
    if number := _NUMBER.match(text, at):
        return str(_number(number)), number.end()
    raise ValueError(f"no key at character {at}")


def _next(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] != closing:
        raise ValueError(f"no comma and no {closing} at character {at}")
    return at
