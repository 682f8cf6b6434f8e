"""Judging 2,000 pictures, killed at random and started again, ends as judging them in one go."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time

import pytest
from bench_files import GENEVAL, save, write_text
from i1_bench.cli import main
from i1_bench.geneval.benchmark import GenEvalConfig

NUM_PROMPTS = 500  # of four pictures each
DETECTOR = """
import json, sys
from PIL import Image
for line in sys.stdin:
    row = json.loads(line)
    mean = sum(Image.open(row["image"]).convert("L").tobytes())
    boxes = {
        name: [{"box": [30.0 * k, 0.0, 30.0 * k + 20, 20.0, 0.1 + mean % 90 / 100], "colour": "red"}]
        for k, name in enumerate(row["question"]["classes"])
    }
    print(json.dumps({"id": row["id"], "answer": boxes}), flush=True)
"""


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """Prompts, 2,000 rendered pictures, some of them alike, and a detector that measures them."""
    root = tmp_path_factory.mktemp("kill")
    (root / "geneval").mkdir()
    rows = [json.dumps(GENEVAL[k % len(GENEVAL)]) for k in range(NUM_PROMPTS)]
    (root / "geneval/evaluation_metadata.jsonl").write_text("\n".join(rows))
    requests = GenEvalConfig(prompts=str(root), verify=False).build().requests(4, 0)
    for number, request in enumerate(requests):
        save(root / "pictures", request.path, write_text([str(number % 1800)], size=24, font=11))
    (root / "detector.py").write_text(DETECTOR)
    command = f"{shlex.quote(sys.executable)} -W ignore {shlex.quote(str(root / 'detector.py'))}"
    settings = ["verify=false", "judge=external", f"judge.command={command}", "judge.name=by-rule-1"]
    settings += ["judge.answers=detector"]
    return [
        *("judge", "--benchmark", "geneval", "--prompts", str(root), "--images", str(root / "pictures")),
        *(part for setting in settings for part in ("--set", setting)),
        "--output",
    ]


def lines_in(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start_and_kill(arguments, output, after):
    """Starts judging in a process of its own, and kills it once it has recorded `after` further answers."""
    file = output / "geneval" / "judged.jsonl"
    wanted = lines_in(file) + after
    code = "import sys; from i1_bench.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments, str(output)])
    while lines_in(file) < wanted and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return process.returncode


def test_killed_and_started_again(tmp_path, arguments):
    assert main([*arguments, str(tmp_path / "whole")]) == 0
    whole = (tmp_path / "whole/geneval/judged.jsonl").read_bytes()
    assert len(whole.splitlines()) == 4 * NUM_PROMPTS
    rng = random.Random(1)
    file = tmp_path / "killed/geneval/judged.jsonl"
    for number in range(4):
        assert start_and_kill(arguments, tmp_path / "killed", rng.randint(1, 400)) == -signal.SIGKILL
        if number == 2:  # what a crash of the machine leaves of a line
            with file.open("ab") as written:
                written.write(b'{"key": "0123')
    recorded = lines_in(file)
    assert 4 <= recorded < 4 * NUM_PROMPTS
    assert main([*arguments, str(tmp_path / "killed")]) == 0
    assert file.read_bytes() == whole
    assert main(["score", "--output", str(tmp_path / "killed")]) == 0
