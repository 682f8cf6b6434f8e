import runpy
from pathlib import Path

from i1_data.sources.image_folder import ImageFolderSource
from PIL import Image

EXAMPLE = Path(__file__).parents[1] / "finetune.py"


def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLE))
    settings = ["steps=2", "batch_size=2", "model.backbone.layers=scan", "lora.rank=2", "data.num_threads=0"]
    result = example["run"](tmp_path, count=3, settings=settings, sampling_steps=2)
    records = ImageFolderSource(root=str(tmp_path / "pictures")).build()
    assert len(records) == 3
    assert all(caption.endswith(" at night") for caption in records[0]["captions"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 64, 2 * 64)
    assert result.before != result.after
    assert result.size < 250_000
