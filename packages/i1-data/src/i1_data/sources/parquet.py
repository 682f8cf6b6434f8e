"""The source `parquet`: tables with encoded images and captions."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i1_hooks import UserError, unknown

from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.manifest import row_captions

if TYPE_CHECKING:
    import pyarrow


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
            UserError: when pyarrow is absent, the place missing or empty, a file damaged or lacking a column.
        """
        try:
            import pyarrow.parquet  # noqa: F401  (is it there?)
        except ImportError as error:
            raise UserError("parquet: pyarrow is not installed; pip install 'i1-data[parquet]'") from error
        path = Path(self.path).expanduser()
        if not path.exists():
            raise UserError(f"parquet: no file or folder {self.path!r}; create it or correct `path`")
        files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
        if not files:
            raise UserError(f"parquet: {self.path!r} holds no .parquet files, subfolders included")
        return ParquetRows(self, files)


class ParquetRows:
    """The rows of a `ParquetSource`.

    Args:
        config: the columns.
        files: the Parquet files in order.
    """

    def __init__(self, config: ParquetSource, files: list[Path]) -> None:
        self._config = config
        self._columns = [config.image_column, *config.caption_columns]
        if config.key_column is not None:
            self._columns.append(config.key_column)
        self._groups = [(file, group, first) for file in files for group, first, _ in self._row_groups(file)]
        sizes = [rows for file in files for _, _, rows in self._row_groups(file)]
        self._starts = [0, *accumulate(sizes)]
        self._table = functools.lru_cache(maxsize=config.cached_row_groups)(self._read)

    def _row_groups(self, file: Path) -> list[tuple[int, int, int]]:
        import pyarrow
        import pyarrow.parquet

        try:
            metadata = pyarrow.parquet.read_metadata(file)
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"parquet: cannot read {file}: {error}") from error
        present = metadata.schema.to_arrow_schema().names
        for column in self._columns:
            if column not in present:
                raise unknown(f"column of {file}", column, present)
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return list(zip(range(len(sizes)), accumulate(sizes, initial=0), sizes, strict=False))

    def _read(self, group: int) -> pyarrow.Table:
        import pyarrow
        import pyarrow.parquet

        file, index, _ = self._groups[group]
        try:
            with pyarrow.parquet.ParquetFile(file) as opened:
                return opened.read_row_group(index, columns=self._columns)
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"parquet: cannot read {file}: {error}") from error

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        group = bisect_right(self._starts, index) - 1
        offset = index - self._starts[group]
        file, _, first = self._groups[group]
        where = f"{file.name}, row {first + offset}"
        row: dict[str, Any] = self._table(group).slice(offset, 1).to_pylist()[0]
        image = row[self._config.image_column]
        if isinstance(image, Mapping):
            image = image.get("bytes")
        if not isinstance(image, bytes):
            raise UserError(
                f"parquet: {where}: column {self._config.image_column!r} holds {type(image).__name__}, "
                "expected the bytes of an encoded image or a struct with `bytes`"
            )
        key = where if self._config.key_column is None else str(row[self._config.key_column])
        return {
            "image": image,
            "captions": row_captions(row, self._config.caption_columns, where),
            "key": key,
        }
