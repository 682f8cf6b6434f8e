"""What a source of captioned images is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypedDict

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    import numpy as np


class Record(TypedDict):
    """One captioned image.

    Attributes:
        image: pixels, uint8 of shape (height, width, 3), or the bytes of an encoded image (PNG, JPEG, WebP).
        captions: any number of captions, also none.
        key: names the record within its source, for messages: a path, an id.

    A record may hold more fields; what does not know them passes them on.
    """

    image: np.ndarray | bytes
    captions: list[str]
    key: str


class Source(Protocol):
    """A collection with a length, whose record i is the same whenever and in whichever thread it is read."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Record: ...


@dataclass(frozen=True, kw_only=True)
class SourceConfig(ComponentConfig, ABC, kind="sources"):
    """Base of every source's configuration.

    Attributes:
        strict: whether a record that cannot be read is an error. Otherwise such records are left out: those
            that are found when the source is opened with one warning, those found later with a warning each.
    """

    strict: bool = field(default=True, repr=False)

    @abstractmethod
    def build(self) -> Source:
        """Opens the collection.

        Raises:
            UserError: for a place that is missing, empty or malformed.
        """
