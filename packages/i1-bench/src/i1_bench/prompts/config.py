"""The settings that the published benchmarks share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from i1_hooks import UserError

from i1_bench.benchmarks import Benchmark, BenchmarkConfig, Place, Prompt, Request
from i1_bench.judges import digest
from i1_bench.prompts.catalogue import PromptFolder, find_folder
from i1_bench.prompts.sets import ORIGINAL, variant_texts


@dataclass(frozen=True, kw_only=True)
class PublishedConfig(BenchmarkConfig):
    """Base of the benchmarks whose prompts are published files.

    Attributes:
        prompts: the folder of prompt files; empty takes `I1_BENCH_PROMPTS`, else the files are downloaded.
        variant: original, simple_rewrite, complex_rewrite or repeatedN: what the model is given. Pictures are
            always scored against the original.
        limit: only the first prompts of each category; 0 is all of them, which alone is the benchmark.
        verify: refuse prompt files that are not the published ones.
    """

    prompts: str = ""
    variant: str = ORIGINAL
    limit: int = 0
    verify: bool = True

    def folder(self) -> PromptFolder:
        """Returns the folder of prompt files."""
        return find_folder(self.prompts, verify=self.verify)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A prompt of a published file.

    Attributes:
        text: the original prompt.
        category: the group it is scored in.
        spec: what the benchmark holds pictures against.
        folder: where generation writes the pictures, with `{j}` for the number of the picture.
        published: where the published evaluation expects them.
    """

    text: str
    category: str
    spec: Any
    folder: str
    published: str | None = None


class PublishedBenchmark(Benchmark):
    """The requests of a benchmark whose prompts are published files."""

    stem: str
    """The name of its prompt set in `generation/`."""
    suffixes: Sequence[str] = (".json", ".jsonl", ".txt")
    max_count: int | None = None
    """The most pictures of a prompt that its layout has places for; None is any number."""

    def __init__(self, config: PublishedConfig) -> None:
        if config.limit < 0:
            raise UserError(f"limit {config.limit}: expected 0, which is all prompts, or a number of prompts")
        self._config = config
        self._folder = config.folder()
        rows = self.read_rows(self._folder)
        originals = [row.text for row in rows]
        texts = variant_texts(self._folder, self.stem, config.variant, originals, self.suffixes)
        self._rows = list(_first(rows, texts, config.limit))
        self._num_rows = len(rows)

    def read_rows(self, folder: PromptFolder) -> list[Row]:
        """Returns the prompts in the order of their file.

        Raises:
            UserError: for files that are missing or damaged.
        """
        raise NotImplementedError(f"{type(self).__name__}.read_rows")

    def published_place(self, row: Row, number: int) -> Place | None:
        """Returns where the published evaluation expects picture `number` of a prompt."""
        return None if row.published is None else Place(path=PurePosixPath(row.published.format(j=number)))

    def requests(self, count: int, seed: int) -> list[Request]:
        """Returns `count` pictures of every prompt, in the order of the file; nothing is drawn.

        Picture j of row i starts from noise `j * rows + i`.
        """
        del seed
        if self.max_count is not None and count > self.max_count:
            raise UserError(
                f"{self.name}: {count} pictures of each prompt: expected {self.max_count}, "
                "its layout has no more places"
            )
        return [
            Request(
                prompt=Prompt(
                    text=text, category=row.category, split="all", spec=row.spec, key=f"{index:05d}"
                ),
                path=PurePosixPath(row.folder.format(j=number)),
                noise=number * self._num_rows + index,
                published=self.published_place(row, number),
            )
            for index, row, text in self._rows
            for number in range(count)
        ]

    def identity(self) -> dict[str, Any]:
        """Returns the variant of the prompts and the digest of all texts."""
        texts = [[row.text, text] for _, row, text in self._rows]
        return {"variant": self._config.variant, "prompts": digest(texts), "limit": self._config.limit}


def _first(rows: Sequence[Row], texts: Sequence[str], limit: int) -> Iterator[tuple[int, Row, str]]:
    counts: dict[str, int] = {}
    for index, (row, text) in enumerate(zip(rows, texts, strict=True)):
        counts[row.category] = counts.get(row.category, 0) + 1
        if not limit or counts[row.category] <= limit:
            yield index, row, text
