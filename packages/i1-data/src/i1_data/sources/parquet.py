"""The source `parquet`: tables with encoded images and captions."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from i1_hooks import UserError, unknown
from i1_hooks.files import user_path

from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.captions import row_captions
from i1_data.sources.faults import Faults, printable
from i1_data.sources.folders import list_files
from i1_data.sources.pairing import suffix

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ParquetSource(SourceConfig):
    """Reads one Parquet file, or those of a folder and its subfolders in the order of their paths.

    A read decodes the row group around the row; the last few stay in memory. Files with small row groups
    (about 100 images) suit random access. Needs the extra `i1-data[parquet]`.

    Attributes:
        path: the file or the folder.
        image_column: encoded images, as binary or as the struct with `bytes` of Hugging Face datasets.
        caption_columns: columns of text or lists of text; missing values are skipped.
        key_column: a column that names the row; file name and row number by default.
        cached_row_groups: how many row groups stay in memory.
    """

    path: str
    image_column: str = "image"
    caption_columns: tuple[str, ...] = ("caption",)
    key_column: str | None = None
    cached_row_groups: int = 4

    def __post_init__(self) -> None:
        if not self.caption_columns:
            raise UserError("parquet: caption_columns is empty; name at least one column")
        if self.cached_row_groups < 1:
            raise UserError(f"parquet: cached_row_groups must be at least 1, got {self.cached_row_groups}")

    def build(self) -> ParquetRows:
        """Reads the footers of the files.

        Raises:
            UserError: when pyarrow is absent, the place missing or empty, or a column is lacking, and, unless
                `strict` is false, for a damaged file.
        """
        try:
            import pyarrow.parquet  # noqa: F401  (is it there?)
        except ImportError as error:
            raise UserError("parquet: pyarrow is not installed; pip install 'i1-data[parquet]'") from error
        path = user_path(self.path)
        if not path.exists():
            raise UserError(f"parquet: no file or folder {self.path!r}; create it or correct `path`")
        faults = Faults(f"parquet {printable(self.path)!r}", strict=self.strict)
        files = {path.name: path} if path.is_file() else _parquet_files(path, faults)
        if not files:
            faults.conclude()
            raise UserError(f"parquet: {self.path!r} holds no .parquet files, subfolders included")
        groups = [group for name, file in files.items() for group in _row_groups(self, name, file, faults)]
        faults.conclude()
        return ParquetRows(self, groups)


def _parquet_files(folder: Path, faults: Faults) -> dict[str, Path]:
    files = list_files(folder, faults).files
    return {printable(name): folder / name for name in files if suffix(name) == ".parquet"}


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """A row group of one of the files.

    Attributes:
        name: of the file, for keys.
        file: where it is.
        index: number of the group within the file.
        first: row of the file that it begins with.
        num_rows: rows in the group.
    """

    name: str
    file: Path
    index: int
    first: int
    num_rows: int


def _row_groups(config: ParquetSource, name: str, file: Path, faults: Faults) -> list[RowGroup]:
    import pyarrow.parquet

    def sizes_and_columns() -> tuple[list[int], list[str]]:
        metadata = pyarrow.parquet.read_metadata(file)
        sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        if min(sizes, default=0) < 0:
            raise ValueError(f"a row group of {min(sizes)} rows")
        return sizes, metadata.schema.to_arrow_schema().names

    try:
        sizes, present = _read(file, sizes_and_columns)
    except UserError as error:
        faults.add("damaged files", str(error))
        return []
    for column in _columns(config):
        if column not in present:
            raise unknown(f"column of {printable(str(file))}", column, present)
    firsts = accumulate(sizes, initial=0)
    return [
        RowGroup(name=name, file=file, index=index, first=first, num_rows=size)
        for index, (size, first) in enumerate(zip(sizes, firsts, strict=False))
    ]


def _columns(config: ParquetSource) -> list[str]:
    named = [config.image_column, *config.caption_columns]
    return list(dict.fromkeys(named if config.key_column is None else [*named, config.key_column]))


def _read(file: Path, read: Callable[[], T]) -> T:
    import pyarrow

    try:
        return read()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"parquet: cannot read {printable(str(file))}: {error}; fetch it again") from error


class ParquetRows:
    """The rows of a `ParquetSource`.

    Args:
        config: the columns.
        groups: the row groups of all files in order.
    """

    def __init__(self, config: ParquetSource, groups: list[RowGroup]) -> None:
        self._config = config
        self._groups = groups
        self._starts = [0, *accumulate(group.num_rows for group in groups)]
        self._table = functools.lru_cache(maxsize=config.cached_row_groups)(self._read_group)

    def _read_group(self, number: int) -> pyarrow.Table:
        import pyarrow.parquet

        group = self._groups[number]

        def table() -> pyarrow.Table:
            with pyarrow.parquet.ParquetFile(group.file) as opened:
                return opened.read_row_group(group.index, columns=_columns(self._config))

        return _read(group.file, table)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = bisect_right(self._starts, index) - 1
        group = self._groups[number]
        offset = index - self._starts[number]
        where = f"{group.name}, row {group.first + offset}"
        table = self._table(number)
        rows: list[dict[str, Any]] = _read(group.file, lambda: table.slice(offset, 1).to_pylist())
        if not rows:
            raise UserError(f"parquet: {where}: the file holds fewer rows than it says; fetch it again")
        row = rows[0]
        image = row.get(self._config.image_column)
        if isinstance(image, Mapping):
            image = image.get("bytes")
        if not isinstance(image, bytes):
            raise UserError(
                f"parquet: {where}: column {self._config.image_column!r} holds {type(image).__name__}, "
                "expected the bytes of an encoded image or a struct with `bytes`"
            )
        key = where if self._config.key_column is None else row.get(self._config.key_column)
        if key is None or key == "":
            raise UserError(f"parquet: {where}: column {self._config.key_column!r} names no key; fill it in")
        return {
            "image": image,
            "captions": row_captions(row, self._config.caption_columns, where),
            "key": str(key),
        }
