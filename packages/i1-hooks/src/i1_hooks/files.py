"""Text files as people have them, and files that are written whole or not at all."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from i1_hooks.errors import UserError

LARGEST_TEXT = 2**30
"""Bytes that a text file may have."""

_ENCODINGS = (
    # the mark of UTF-32 in little-endian order begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_HARD_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF)


def decode_text(data: bytes, name: str | os.PathLike[str]) -> str:
    """Returns the text in `data`: UTF-8 with or without a byte-order mark, UTF-16 or UTF-32 with one.

    The mark is no part of the text.

    Args:
        data: the whole content of a file.
        name: what messages call the file.

    Raises:
        UserError: naming the file, the offset of the first wrong byte and the fix.
    """
    shown = os.fspath(name)
    mark, encoding, label = next(
        (known for known in _ENCODINGS if data.startswith(known[0])), (b"", "utf-8", "UTF-8")
    )
    body = data[len(mark) :]
    if encoding == "utf-8" and (zero := body.find(0)) >= 0:
        raise UserError(
            f"{shown}: zero byte at offset {zero + len(mark)}, so it is not text, or UTF-16 without "
            "a byte-order mark; save it as UTF-8"
        )
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        offset = error.start + len(mark)
        raise UserError(
            f"{shown}: byte 0x{data[offset]:02x} at offset {offset} is not {label}; save it as UTF-8"
        ) from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Returns the text of a file, decoded by `decode_text`.

    Raises:
        UserError: naming the file, when it is missing, a folder, unreadable, larger than `LARGEST_TEXT`, or
            not text.
    """
    return decode_text(_read_bytes(path), path)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Returns the value in a JSON file.

    Raises:
        UserError: naming the file, when `read_text` cannot read it or it is not JSON.
    """
    return parse_json(read_text(path), path)


def parse_json(text: str, name: str | os.PathLike[str]) -> Any:
    """Returns the value that JSON text holds.

    Half of a surrogate pair is refused, apart from those that stand for a byte of a file name that is not
    UTF-8 (`os.fsdecode`).

    Args:
        text: the text.
        name: what messages call it.

    Raises:
        UserError: naming it, for text that is not JSON, is nested too deeply, or holds a number or a
            character that cannot be represented.
    """
    try:
        value = json.loads(text)
        if _ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise UserError(f"{os.fspath(name)}: \\u{code:04x} is half a character; write both halves") from error
    except RecursionError as error:
        raise UserError(f"{os.fspath(name)} is not JSON that can be read: nested too deeply") from error
    except ValueError as error:  # also an integer of thousands of digits
        raise UserError(f"{os.fspath(name)} is not JSON: {error}") from error
    return value


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    shown = os.fspath(path)
    if "\0" in shown:
        raise UserError(f"no file {shown!r}: a name holds no zero byte")
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # A pipe has a size of 0; `read` allocates as much as it is told to read.
            data = b"" if size > LARGEST_TEXT else file.read(size + 1)
            while data and size < len(data) <= LARGEST_TEXT and (block := file.read(2**20)):
                data += block
    except FileNotFoundError as error:
        raise UserError(f"no file {shown}") from error
    except IsADirectoryError as error:
        raise UserError(f"{shown} is a folder, expected a file") from error
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror or error}") from error
    if max(size, len(data)) > LARGEST_TEXT:
        raise UserError(f"{shown} is larger than {LARGEST_TEXT / 2**30:g} GiB, too large for a text file")
    return data


def split_lines(text: str) -> list[str]:
    """Returns the lines of a text; only line feeds end a line, and a carriage return before one is dropped.

    Other characters that `str.splitlines` takes for line ends, such as U+2028, stay inside their line.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def write_atomically(
    path: str | os.PathLike[str],
    data: bytes | str | Callable[[BinaryIO], None],
    *,
    overwrite: bool = True,
) -> Path:
    """Writes a file that exists whole or not at all, even after a power cut.

    The data goes to a temporary file in the same folder, which is synced to disk and renamed; then the folder
    is synced. On failure nothing stays behind.

    Args:
        path: the file; its folder exists.
        data: bytes, text to encode as UTF-8, or a function that writes to the open file.
        overwrite: replace an existing file. Otherwise the file is created exclusively: of several processes
            that write the same path, one succeeds.

    Returns:
        The path.

    Raises:
        FileExistsError: when there is something at `path` and `overwrite` is false.
        UserError: naming the file, when it cannot be written.
    """
    target = Path(path)
    if "\0" in os.fspath(target):
        raise UserError(f"cannot write {os.fspath(target)!r}: a name holds no zero byte")
    try:
        content = data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise UserError(f"cannot write {target}: the text holds half a character, \\u{code:04x}") from error
    part = target.parent / f".i1-{os.urandom(8).hex()}.part"
    try:
        _check_target(target, overwrite=overwrite)
        with _new_file(part) as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if overwrite:
                part.replace(target)
            else:
                _rename_exclusively(part, target)
        _sync_folder(target.parent)
    except FileExistsError:
        raise
    except OSError as error:
        ours = error.filename in (None, os.fspath(part), os.fspath(target), os.fspath(target.parent))
        reason = error.strerror if ours and error.strerror else error
        raise UserError(f"cannot write {target}: {reason}") from error
    return target


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Raises what would prevent the rename at the end, before anything is written."""
    try:
        target.lstat()
    except FileNotFoundError:
        return
    if not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a new file with the permissions that the umask allows, and removes it in the end."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "w+b") as file:
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)


def _rename_exclusively(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # a file system without hard links: an empty file reserves the name
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            part.replace(target)
        except BaseException:
            target.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:  # some network file systems have no such call
            raise
    finally:
        os.close(descriptor)


def bounded_name(stem: str, suffix: str, *, limit: int = 200) -> str:
    """Returns `stem + suffix` as a file name of at most `limit` bytes of UTF-8.

    A stem that is too long is cut between two characters, and a digest of the whole stem is added, so that
    different stems keep different names.
    """
    if _num_bytes(stem + suffix) <= limit:
        return stem + suffix
    digest = hashlib.sha256(stem.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    room = limit - _num_bytes(f"-{digest}{suffix}")
    if room < 1:
        raise ValueError(f"no room for a name that ends in {suffix!r} in {limit} bytes")
    kept = stem[:room]
    while _num_bytes(kept) > room:
        kept = kept[:-1]
    return f"{kept}-{digest}{suffix}"


def _num_bytes(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def user_path(text: str | bytes | os.PathLike[str]) -> Path:
    """Returns the path that a user wrote: `~` is expanded, and bytes that are not UTF-8 survive.

    As in a shell, `~name` stays as it is when there is no user of that name.

    Raises:
        UserError: for an empty path or one with a zero byte.
    """
    written = os.fsdecode(text)
    if not written or "\0" in written:
        raise UserError(f"{written!r} is not a path: name a file or folder")
    return Path(os.path.expanduser(written))  # noqa: PTH111 (Path forgets the "./" of a file named "~x")
