"""The settings of a run, kept in its folder so that each stage can be called without repeating them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError, from_dict, to_dict
from i1_hooks.files import read_json

from i1_bench.benchmarks import Benchmark, BenchmarkConfig, Request
from i1_bench.stages.pictures import Folder
from i1_bench.stages.run_folder import IMAGES, write_json

SETTINGS = "settings.json"


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What the stages of one run share.

    Attributes:
        config: the benchmark.
        count: pictures of each prompt, or of each category.
        seed: of prompts, noise and bootstrap.
        images: the folder of existing pictures; None when the run makes its own.
    """

    config: BenchmarkConfig
    count: int
    seed: int
    images: Path | None = None

    def benchmark(self) -> Benchmark:
        """Returns the benchmark."""
        return self.config.build()

    def requests(self) -> list[Request]:
        """Returns all pictures of the run."""
        return self.benchmark().requests(self.count, self.seed)

    def pictures(self, output: Path) -> Folder:
        """Returns the folder of pictures of the run in `output`."""
        return Folder(self.images or output / IMAGES, tuple(self.requests()))

    def save(self, output: Path) -> None:
        """Writes `settings.json` into the folder of the run."""
        record = {
            "count": self.count,
            "seed": self.seed,
            "images": None if self.images is None else str(self.images),
            "configuration": to_dict(self.config),
        }
        write_json(output / SETTINGS, record)


def load_settings(output: Path) -> RunSettings:
    """Returns the settings of the run in a folder.

    Raises:
        UserError: when there is none, or a damaged one.
    """
    path = output / SETTINGS
    if not path.is_file():
        raise UserError(f"{output} holds no prepared run: it has no {SETTINGS}; run `i1 bench prepare` first")
    record: Any = read_json(path)
    try:
        images = record["images"]
        return RunSettings(
            config=from_dict(BenchmarkConfig, record["configuration"]),
            count=int(record["count"]),
            seed=int(record["seed"]),
            images=None if images is None else Path(images),
        )
    except (TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged: no {error}; prepare the run in a new folder") from error


def find_runs(output: Path) -> list[Path]:
    """Returns the folders of runs: `output` itself, or those directly inside.

    Raises:
        UserError: when there is none.
    """
    if (output / SETTINGS).is_file():
        return [output]
    inside = sorted(path.parent for path in output.glob(f"*/{SETTINGS}"))
    if not inside:
        raise UserError(
            f"{output} holds no run: `i1 bench prepare --benchmark NAME --output {output}` makes one"
        )
    return inside
