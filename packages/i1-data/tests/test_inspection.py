from pathlib import Path

import pytest
from i1_data.commands.cli import main
from i1_hooks import UserError
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers


def make_folder(root: Path, count: int, words: int = 3) -> Path:
    root.mkdir()
    for number in range(count):
        Image.new("RGB", (20 + number, 16)).save(root / f"{number}.png")
        (root / f"{number}.txt").write_text(" ".join(["<b>cat"] * words))
    return root


def test_numbers_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = make_folder(tmp_path / "one", 8), make_folder(tmp_path / "other", 2, words=9)
    (one / "3.png").write_bytes(b"broken")
    page = tmp_path / "page.html"
    assert main(["inspect", str(one), str(other), "--output", str(page), "--mixing", "by_size"]) == 0
    out = capsys.readouterr().out
    assert "10 records, 9 measured, 1 unreadable" in out
    assert "3.png: cannot decode" in out
    assert "width: least 20, median 22, 95% 27, most 27" in out
    assert "words per caption: least 3" in out
    assert f"{one}: asked for 80.00%, observed 80.00%" in out
    html = page.read_text()
    assert html.count("<figure>") == 9
    assert "&lt;b&gt;cat" in html
    assert "<b>cat" not in html


def test_captions_are_counted_with_the_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<b>cat": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    root = make_folder(tmp_path / "in", 4, words=6)
    arguments = ["inspect", str(root), "--tokenizer", str(tmp_path / "tokenizer.json"), "--max-tokens"]
    assert main([*arguments, "6"]) == 0
    assert "0.00% of the captions have more than 6 tokens" in capsys.readouterr().out
    assert main([*arguments, "5"]) == 1
    assert main([*arguments, "5", "--max-cut", "1"]) == 0
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is no tokenizer"):
        main([*arguments, "5"])


def test_the_published_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 13
    assert "98,121,424" in out
