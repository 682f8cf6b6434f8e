import json

import i1_plugin_signs.plugin
import numpy as np
import pytest
from i1_bench.benchmarks import Judged
from i1_bench.cli import main
from i1_bench.testing import BenchmarkSuite
from i1_hooks import UserError
from i1_hooks.testing import check_plugin
from i1_plugin_signs.benchmark import SignsConfig
from PIL import Image, ImageDraw, ImageFont


def test_plugin():
    check_plugin(i1_plugin_signs.plugin)


class TestSigns(BenchmarkSuite):
    component = SignsConfig()

    def answers(self, right):
        return [
            Judged(request=request, answers={"lines": [request.prompt.spec] if right else []})
            for request in self.component.build().requests(2, 0)
        ]


def sign(text):
    picture = Image.new("RGB", (400, 200), "white")
    ImageDraw.Draw(picture).text((20, 70), text, fill="black", font=ImageFont.load_default(size=44))
    return picture


def test_rendered_signs_are_read(tmp_path):
    file = tmp_path / "signs.jsonl"
    rows = [{"prompt": "a sign", "text": text, "category": "all"} for text in ("Reading Room", "Pinball")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "pictures").mkdir()
    for number, text in enumerate(("Reading Room", "Pineall")):
        sign(text).save(tmp_path / f"pictures/{number:03d}_0.png")
    arguments = ["run", "--benchmark", "signs", "--images", str(tmp_path / "pictures")]
    assert main([*arguments, "--set", f"file={file}", "--output", str(tmp_path / "out")]) == 0
    scores = json.loads((tmp_path / "out/signs/scores.json").read_text())
    assert scores["score"] == pytest.approx(np.mean([1, 6 / 7]))
    assert (tmp_path / "out/report.html").is_file()


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "signs.jsonl").write_text('{"prompt": "a sign"}\n')
    with pytest.raises(UserError, match="expected JSON lines with prompt, text and category"):
        SignsConfig(file=str(tmp_path / "signs.jsonl")).build()
