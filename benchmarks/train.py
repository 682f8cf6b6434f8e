"""Measures the training step: against the same network in PyTorch, and against our own plain mode.

    python benchmarks/train.py

Needs the packages of this workspace and PyTorch in one environment. Every contender is a process of its own
that holds its model; rounds go through all of them in turn, so that what slows the machine slows all. A ratio
is taken within a round; the table has the median ratio and the smallest and largest of the rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).with_name("train_workers.py")
TOLERANCE = 1e-4
SCALE = 1e3
OURS = "ours"
CPU_CONTENDERS = {
    "float32": "ours, all of it in float32",
    "plain": "our plain mode",
    "eager": "PyTorch",
    "compile": "PyTorch, compiled",
    "autocast": "PyTorch, compiled, bfloat16 autocast",
}
KINDS = {"float32": {"kind": OURS}, "autocast": {"kind": "compile", "dtype": "bfloat16"}}
"""Contenders that are another worker with other settings."""
REDUCED = ["model.compute_dtype=bfloat16"]
"""Ours: bfloat16 products summed in float32; parameters, norms, softmax, time and loss stay float32."""
GPU_SIZES = {256: (16, 32), 512: (32, 16), 1024: (64, 4)}
"""Image tokens along an edge and images per step, by resolution, of i1-3B on one card."""
I1_3B = {"hidden": 2016, "heads": 28, "depth": 29, "text_width": 2304}


class Worker:
    """A contender in a process of its own.

    Args:
        task: what it does; see `train_workers.py`.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        command = [sys.executable, str(WORKERS), json.dumps(task)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        self.task = task
        self.opening = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"the worker {self.task['kind']} ended with status {self.process.wait()}")

    def run(self, steps: int) -> float:
        """Runs steps and returns the median seconds of one."""
        assert self.process.stdin is not None
        print(steps, file=self.process.stdin, flush=True)
        return statistics.median(self._read()["seconds"])

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()


def compare(tasks: dict[str, dict[str, Any]], rounds: int, steps: int) -> dict[str, list[float]]:
    """Returns the seconds per step of every contender in every round, interleaved."""
    workers = {name: Worker(task) for name, task in tasks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            seconds[name].append(worker.run(steps))
    for worker in workers.values():
        worker.close()
    return seconds


def table(seconds: dict[str, list[float]], names: dict[str, str]) -> list[str]:
    """Returns the lines of a Markdown table of one comparison."""
    lines = ["| | ms per step | times ours | range over rounds |", "| --- | --- | --- | --- |"]
    lines.append(f"| ours | {SCALE * statistics.median(seconds[OURS]):.0f} | 1 | |")
    for name, label in names.items():
        ratios = [other / ours for other, ours in zip(seconds[name], seconds[OURS], strict=True)]
        lines.append(
            f"| {label} | {SCALE * statistics.median(seconds[name]):.0f} | {statistics.median(ratios):.2f} | "
            f"{min(ratios):.2f} to {max(ratios):.2f} |"
        )
    return lines


def once(task: dict[str, Any]) -> dict[str, Any]:
    """Returns what a worker that measures one thing found."""
    worker = Worker(task)
    worker.close()
    return worker.opening


def cpu_sizes(arguments: argparse.Namespace, hidden: int) -> dict[str, Any]:
    """Returns the sizes of the model of one hidden width."""
    return {
        "hidden": hidden,
        "heads": hidden // 64,
        "depth": arguments.depth,
        "batch": arguments.batch,
        "grid": arguments.grid,
        "text_width": 128,
        "threads": arguments.threads,
    }


def measure_cpu(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures every hidden width: equality, contenders, the loop."""
    found: dict[str, Any] = {}
    for hidden in arguments.hidden:
        sizes = cpu_sizes(arguments, hidden)
        ours = {"set": [*REDUCED, *arguments.set], "xla_flags": arguments.xla_flags}
        equal = once({**sizes, "kind": "equal"})
        reduced = once({**sizes, **ours, "kind": "equal"})
        print(
            f"\n### hidden {hidden}\n\nlosses with the same weights: ours {equal['loss'][0]:.6f}, PyTorch "
            f"{equal['loss'][1]:.6f}; largest relative difference of loss and gradient norm "
            f"{equal['relative_difference']:.1e}, of ours in bfloat16 {reduced['relative_difference']:.1e}\n"
        )
        if equal["relative_difference"] > TOLERANCE:
            raise SystemExit(
                f"the networks differ by {equal['relative_difference']:.1e}, more than {TOLERANCE}"
            )
        names = {name: label for name, label in CPU_CONTENDERS.items() if name not in arguments.without}
        tasks = {name: {**sizes, **KINDS.get(name, {"kind": name})} for name in names}
        seconds = compare({OURS: {**sizes, **ours, "kind": OURS}, **tasks}, arguments.rounds, arguments.steps)
        print("\n".join(table(seconds, names)), flush=True)
        loop = once({**sizes, **ours, "kind": "loop", "steps": arguments.loop_steps + 5, "warmup": 5})
        print(
            f"\nthe loop on scenes: {SCALE * loop['step']:.0f} ms per step, "
            f"{100 * loop['data'] / loop['step']:.2f}% "
            f"of it waiting for data; processor time of the main thread, spent while the step before runs: "
            f"{SCALE * loop['host']:.2f} ms, and {SCALE * loop['dispatch']:.2f} ms inside JAX's dispatch",
            flush=True,
        )
        found[str(hidden)] = {"equal": equal, "reduced": reduced, "seconds": seconds, "loop": loop}
    return found


def measure_gpu(arguments: argparse.Namespace) -> dict[str, Any] | str:
    """Measures i1-3B in bfloat16 against PyTorch on one card, or says that there is none."""
    print("\n### i1-3B on one GPU, bfloat16\n")
    if not has_cuda():
        print("not measured: no CUDA device")
        return "not measured"
    from train_model import bench_config, model_flops

    rate = once({"kind": "rate", "size": 8192})
    print(f"{rate['device']}: {rate['rate'] / 1e12:.0f} TFLOP/s in bfloat16 matrix products\n")
    print("| pixels | batch | ours, images/s | ours, share of the matrix rate | PyTorch compiled | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    found: dict[str, Any] = {"rate": rate}
    for resolution, (grid, batch) in GPU_SIZES.items():
        sizes = {**I1_3B, "grid": grid, "batch": batch, "dtype": "bfloat16", "device": "cuda"}
        ours = {"set": [*REDUCED, *arguments.set], "kind": OURS}
        seconds: dict[str, list[float]] = {}
        for name, task in {OURS: {**sizes, **ours}, "compile": {**sizes, "kind": "compile"}}.items():
            seconds |= compare({name: task}, arguments.rounds, arguments.steps)  # one at a time fits the card
        flops = model_flops(bench_config(**I1_3B, grid=grid, batch=batch))
        step, other = (statistics.median(seconds[name]) for name in (OURS, "compile"))
        share = flops / step / rate["rate"]
        print(
            f"| {resolution} | {batch} | {batch / step:.1f} | {100 * share:.1f}% | {batch / other:.1f} | "
            f"{other / step:.2f} |",
            flush=True,
        )
        found[str(resolution)] = {"seconds": seconds, "flops": flops, "share": share}
    return found


def has_cuda() -> bool:
    """Says whether PyTorch sees a CUDA device."""
    import torch

    return torch.cuda.is_available()


def main() -> int:
    """Measures and prints Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--hidden", type=int, nargs="*", default=[256, 384], help="hidden widths (default: 256 384)")
    add("--depth", type=int, default=5, help="blocks (default: 5)")
    add("--batch", type=int, default=4, help="images per step (default: 4)")
    add("--grid", type=int, default=16, help="image tokens along an edge (default: 16)")
    add("--rounds", type=int, default=9, help="rounds through all contenders (default: 9)")
    add("--steps", type=int, default=3, help="steps of a contender in a round (default: 3)")
    add("--loop-steps", type=int, default=30, help="steps of the loop (default: 30)")
    add("--threads", type=int, default=os.cpu_count(), help="threads of PyTorch (default: all cores)")
    add("--without", nargs="*", default=[], choices=CPU_CONTENDERS, help="contenders to leave out")
    add("--set", action="append", default=[], metavar="PATH=VALUE", help="change our recipe")
    add("--xla-flags", default="", help="XLA flags of our mode")
    add("--json", type=Path, metavar="F", help="write all numbers")
    arguments = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        parser.error("PyTorch is not installed: pip install torch")
    found = {"cpu": measure_cpu(arguments), "gpu": measure_gpu(arguments)}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
