import json
from collections.abc import Callable
from pathlib import Path

import pytest
from i1_data.sources.jsonl import JsonlSource
from i1_data.testing import SourceSuite
from i1_hooks import UserError


class TestJsonl(SourceSuite):
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, picture: Callable[..., bytes]) -> None:
        (tmp_path / "lists").mkdir()
        (tmp_path / "a.png").write_bytes(picture(1))
        (tmp_path / "lists" / "b.png").write_bytes(picture(2))
        rows = [
            {"image": "b.png", "caption": "a dog", "width": 24},
            {"image_path": str(tmp_path / "a.png"), "text": ["a cat", "a grey cat"]},
        ]
        self.manifest = tmp_path / "lists" / "all.jsonl"
        self.manifest.write_text("\n".join(map(json.dumps, rows)))
        self.component = JsonlSource(manifest=str(self.manifest))

    def test_the_order_is_the_manifest_s(self) -> None:
        source = self.component.build()
        assert [source[i]["captions"] for i in (0, 1)] == [["a dog"], ["a cat", "a grey cat"]]
        assert source[0]["key"] == "b.png"

    def test_an_image_without_captions(self) -> None:
        self.manifest.write_text('{"image": "b.png", "caption": ""}')
        with pytest.raises(UserError, match=r"image b\.png has no caption"):
            self.component.build()
        source = JsonlSource(manifest=str(self.manifest), missing_captions="empty").build()
        assert source[0]["captions"] == []

    def test_an_empty_manifest(self) -> None:
        self.manifest.write_text("\n")
        with pytest.raises(UserError, match="lists no images"):
            self.component.build()


def test_a_missing_manifest() -> None:
    with pytest.raises(UserError, match=r"no file 'nowhere.jsonl'"):
        JsonlSource(manifest="nowhere.jsonl").build()
