import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image


def load(name: str) -> ModuleType:
    path = Path(__file__).parent.parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    return load("digits")


def test_the_folder_is_an_ordinary_one(digits: ModuleType, tmp_path: Path) -> None:
    digits.write_folder(tmp_path)
    source = digits.ImageFolderSource(root=str(tmp_path)).build()
    assert len(source) == 1797
    record = source[1000]
    digit = int(record["key"][0])
    assert f"the digit {digit}" in record["captions"]
    assert f"a handwritten {digits.WORDS[digit]}" in record["captions"]
    assert digits.prepare(record["image"], 16).shape == (16, 16, 3)


def test_a_short_run_writes_everything(digits: ModuleType, tmp_path: Path) -> None:
    result = digits.run(tmp_path, steps=40, per_digit=2, sampling_steps=4)
    assert result.held_out_accuracy >= 0.95
    assert 0 <= result.drawn_accuracy <= 1
    with Image.open(result.sheet) as sheet:
        assert sheet.size == (2 * 18 * 3, 10 * 18 * 3)
        assert len(set(sheet.get_flattened_data())) > 1
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines]
    assert len(losses) == 40
    assert all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
