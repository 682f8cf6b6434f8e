from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from i1_data.config import DataConfig
from i1_data.filters import HasCaptionFilter
from i1_data.pipeline import make_batches
from i1_data.sources.parquet import ParquetSource
from i1_data.testing import SourceSuite
from i1_hooks import UserError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def write(path: Path, columns: dict[str, list[Any]], rows_per_group: int = 3) -> None:
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=rows_per_group)


class TestParquet(SourceSuite):
    num_checked = 10

    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, picture: Callable[..., bytes]) -> None:
        for name, numbers in (("b", range(7)), ("sub/a", range(7, 10))):
            columns = {
                "image": [{"bytes": picture(number), "path": "x.png"} for number in numbers],
                "caption": [f"number {number}" for number in numbers],
                "caption2": [["more", f"{number}"] if number % 2 else None for number in numbers],
                "id": list(numbers),
            }
            write(tmp_path / f"{name}.parquet", columns)
        self.root = tmp_path
        self.component = ParquetSource(
            path=str(tmp_path), caption_columns=("caption", "caption2"), key_column="id", cached_row_groups=2
        )

    def test_rows_become_records(self) -> None:
        source = self.component.build()
        assert len(source) == 10
        assert [source[i]["key"] for i in range(10)] == [str(i) for i in range(10)]
        assert source[9]["captions"] == ["number 9", "more", "9"]
        assert source[4]["captions"] == ["number 4"]

    def test_a_key_by_file_and_row(self) -> None:
        source = ParquetSource(path=str(self.root)).build()
        assert source[5]["key"] == "b.parquet, row 5"
        assert source[8]["key"] == "sub/a.parquet, row 1"

    def test_one_file_with_binary_images(self, picture: Callable[..., bytes]) -> None:
        path = self.root / "plain.parquet"
        write(path, {"png": [picture(3)], "caption": ["three"]})
        assert ParquetSource(path=str(path), image_column="png").build()[0]["image"] == picture(3)

    @pytest.mark.parametrize("changes", [{"image_column": "img"}, {"caption_columns": ("text",)}])
    def test_a_missing_column(self, changes: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=r"unknown column of .*b\.parquet.*choices: caption, caption2"):
            ParquetSource(path=str(self.root), **changes).build()

    def test_a_column_without_images(self) -> None:
        source = ParquetSource(path=str(self.root), image_column="id").build()
        with pytest.raises(UserError, match="holds int, expected the bytes"):
            source[0]

    def test_a_damaged_file(self) -> None:
        (self.root / "c.parquet").write_bytes(b"PAR1 and then nothing")
        with pytest.raises(UserError, match=r"cannot read .*c\.parquet"):
            self.component.build()


def test_a_missing_place() -> None:
    with pytest.raises(UserError, match="no file or folder 'nowhere'"):
        ParquetSource(path="nowhere").build()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.parquet files"):
        ParquetSource(path=str(tmp_path)).build()


@pytest.mark.parametrize("changes", [{"caption_columns": ()}, {"cached_row_groups": 0}])
def test_settings_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(changes))):
        ParquetSource(path="x", **changes)


def test_a_damaged_column_name_is_no_internal_error(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    write(tmp_path / "a.parquet", {"image": [picture(1)], "caption": ["a"], "colour": [1]})
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data.replace(b"colour", b"colo\xff\xfe"))
    with pytest.raises(UserError, match=r"cannot read .*a\.parquet: .*; fetch it again, or set strict=false"):
        ParquetSource(path=str(tmp_path)).build()


def test_damaged_files_are_left_out_where_that_was_chosen(
    tmp_path: Path, picture: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a.parquet", {"image": [picture(1)], "caption": ["a"]})
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and then nothing")
    source = ParquetSource(path=str(tmp_path), strict=False).build()
    assert [source[i]["captions"] for i in range(len(source))] == [["a"]]
    assert "left out, 1 damaged files" in caplog.text


def test_a_missing_caption_ends_in_a_message_that_names_the_row(
    tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    write(tmp_path / "a.parquet", {"image": [picture(1)] * 2, "caption": ["a", None]})

    def refuse(captions: list[str]) -> None:
        if "" in captions:
            raise UserError("the caption is empty")

    def draw(**options: Any) -> Any:
        config = DataConfig(sources=(ParquetSource(path=str(tmp_path)),), resolution=8, **options)
        batches = make_batches(config, batch_size=2, seed=0, tokenize=refuse)
        return next(batches)["caption"]

    with pytest.raises(
        UserError, match=r"record 'a\.parquet, row 1' has no caption: .* filter 'has_caption'"
    ):
        draw()
    assert draw(filters=(HasCaptionFilter(),)) == ["a", "a"]


def test_a_row_without_its_key_is_named(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    write(tmp_path / "a.parquet", {"image": [picture(1)], "caption": ["a"], "id": [None]})
    with pytest.raises(UserError, match=r"a\.parquet, row 0: column 'id' names no key"):
        ParquetSource(path=str(tmp_path), key_column="id").build()[0]
