"""The published prompt files, where `I1_BENCH_PROMPTS` names their folder."""

import hashlib
import json
import os

import pytest
from i1_bench.cvtg.benchmark import SUBSETS, CvtgConfig
from i1_bench.cvtg.words import wanted_words
from i1_bench.dpg.benchmark import DpgConfig
from i1_bench.engines.mask2former import COCO
from i1_bench.geneval.benchmark import TAGS, GenEvalConfig
from i1_bench.longtext.benchmark import LongTextConfig
from i1_bench.longtext.scoring import match
from i1_bench.prism.benchmark import PrismConfig
from i1_bench.prompts.catalogue import find_folder, published_files

pytestmark = pytest.mark.skipif(
    "I1_BENCH_PROMPTS" not in os.environ, reason="I1_BENCH_PROMPTS names no folder"
)


def test_the_numbers_of_prompts_and_pictures():
    sizes = {}
    for config in (GenEvalConfig, DpgConfig, PrismConfig, CvtgConfig, LongTextConfig):
        benchmark = config().build()
        requests = benchmark.requests(benchmark.default_count, 0)
        assert len({request.path for request in requests}) == len(requests)
        sizes[benchmark.name] = len(requests)
    assert sizes == {"geneval": 2212, "dpg": 4260, "prism": 700, "cvtg-2k": 2000, "longtext": 640}


def test_the_order_is_that_of_the_generation_sets():
    folder = find_folder("")
    for name, config in (("CVTG-2K", CvtgConfig), ("dpg", DpgConfig), ("prism", PrismConfig)):
        rows = json.loads(folder.read(f"generation/{name}.json"))
        texts = [row[1] if isinstance(row, list) else row for row in rows]
        assert [request.prompt.text for request in config().build().requests(1, 0)] == texts


@pytest.mark.parametrize("variant", ["simple_rewrite", "complex_rewrite"])
def test_every_benchmark_has_its_rewrites(variant):
    for config in (GenEvalConfig, DpgConfig, PrismConfig, CvtgConfig, LongTextConfig):
        original, rewritten = (config(variant=v).build().requests(1, 0) for v in ("original", variant))
        assert [r.prompt.spec for r in original] == [r.prompt.spec for r in rewritten]
        assert sum(a.prompt.text != b.prompt.text for a, b in zip(original, rewritten, strict=True)) > 100


def test_repeated_prompts_are_those_of_the_published_files():
    folder = find_folder("")
    for number in (4, 24):
        texts = [r.prompt.text for r in GenEvalConfig(variant=f"repeated{number}").build().requests(1, 0)]
        assert texts == folder.read(f"generation/geneval_repeated{number}.txt").splitlines()


def test_all_files_are_the_published_ones():
    folder = find_folder("")
    for name in published_files():
        assert folder.read_bytes(name)


def test_class_names_and_tags():
    assert find_folder("").read("geneval/object_names.txt").splitlines() == COCO
    assert {request.prompt.category for request in GenEvalConfig().build().requests(1, 0)} == set(TAGS)


@pytest.mark.golden(pattern="cvtg*.json")
def test_words_of_all_prompts(golden_file):
    digests = json.loads(golden_file.read_text()).get("word_digest", {})
    requests = CvtgConfig().build().requests(1, 0)
    for subset in SUBSETS:
        here = [wanted_words(r.prompt.spec) for r in requests if r.prompt.category == subset]
        expected = digests.get(subset)
        if expected is not None:
            text = "\n".join(" ".join(words) for words in here)
            assert (len(here), sum(map(len, here))) == (expected["prompts"], expected["words"])
            assert hashlib.sha256(text.encode()).hexdigest() == expected["sha256"]


@pytest.mark.golden(pattern="longtext*.json")
def test_words_of_all_texts(golden_file):
    counts = dict(json.loads(golden_file.read_text()).get("gt_word_counts", []))
    totals = {}
    for request in LongTextConfig().build().requests(1, 0):
        number = int(str(request.published.path).partition("_")[0])
        totals[number] = match(request.prompt.spec["text"], "").total
    assert {number: totals[number] for number in counts} == counts
    assert sum(totals.values()) == 4263


@pytest.mark.golden(pattern="prism*.json")
def test_judge_texts(golden_file):
    digests = json.loads(golden_file.read_text()).get("judge_prompt_digests", {})
    benchmark = PrismConfig().build()
    first = {r.prompt.category: benchmark.questions(r) for r in reversed(benchmark.requests(1, 0))}
    for name, expected in digests.items():
        aspect, _, track = name.partition("/")
        template = benchmark.templates()[aspect, track or "style"]
        assert len(template) == expected["chars"]
        assert hashlib.sha256(template.encode()).hexdigest() == expected["sha256"]
        filled = next(q.content for q in first[track or "style"] if q.name == aspect)
        wanted = (
            expected.get("filled_with_caption_0_sha256") or expected["filled_with_style_caption_0_sha256"]
        )
        assert hashlib.sha256(filled.encode()).hexdigest() == wanted
