"""The members of a tar file, none passed over in silence.

`tarfile` ends at the first block that it does not understand, and takes the end of the file for the end of
the archive: an archive that was cut between two members, and two archives in one file, look whole.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

_END = bytes(512)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member that is not a folder.

    Attributes:
        name: its path in the archive.
        offset: first byte of its content.
        size: bytes of its content.
        problem: why its content cannot be read, otherwise empty.
    """

    name: str
    offset: int
    size: int
    problem: str = ""


def list_members(archive: Path) -> tuple[list[Member], str]:
    """Returns the members whose content is whole, and what is wrong with the archive, otherwise `""`.

    Hard links have the content of the member that they name.
    """
    found: dict[str, Member] = {}
    members: list[Member] = []
    size = archive.stat().st_size if archive.is_file() else 0
    try:
        with tarfile.open(archive, "r:") as tar:
            end = 0
            for info in tar:
                if info.offset_data < end or info.size < 0:
                    return members, f"damaged at byte {info.offset}; fetch it again"
                end = info.offset_data + (info.size if info.isreg() else 0)
                if end > size:
                    return members, "the file ends within a member; fetch it again"
                member = _member(info, found)
                if member is not None:
                    found[info.name] = member
                    members.append(member)
            position = tar.offset
        return members, _check_end(archive, position)
    except (tarfile.TarError, EOFError) as error:
        return members, f"{error}; fetch it again, or write it without compression"
    except OSError as error:
        return members, f"{error.strerror or error}"
    except (ValueError, OverflowError, IndexError) as error:  # numbers and text of damaged headers
        return members, f"damaged ({error}); fetch it again"


def _member(info: tarfile.TarInfo, found: dict[str, Member]) -> Member | None:
    if info.isdir():
        return None
    if info.islnk() and info.linkname in found:
        target = found[info.linkname]
        return Member(name=info.name, offset=target.offset, size=target.size)
    problem = ""
    if info.issym() or info.islnk():
        problem = f"is a link to {info.linkname!r}; store the file itself"
    elif not info.isreg() or info.sparse is not None:
        problem = "is not a plain file; store it as one"
    return Member(name=info.name, offset=info.offset_data, size=info.size, problem=problem)


def _check_end(archive: Path, position: int) -> str:
    """Says what is wrong with the end of an archive whose members end at a position."""
    with archive.open("rb") as file:
        file.seek(position)
        if file.read(512) != _END:
            return f"no end mark at byte {position}: cut or damaged there; fetch it again"
        while block := file.read(2**20):
            if block.count(0) != len(block):
                return "data follows its end, such as a second archive; store that in a file of its own"
    return ""
