import re
from pathlib import Path

import numpy as np
import pytest
from i1_bench.scenes import evaluate
from i1_bench.scenes.benchmark import ScenesConfig
from i1_bench.scenes.drawing import draw_right
from i1_bench.scenes.evaluation import scenes_prompts
from i1_bench.testing import BenchmarkSuite
from i1_hooks import UserError
from i1_scenes import vocabulary as v


class TestScenes(BenchmarkSuite):
    component = ScenesConfig()


def right_pictures(texts):
    specs = {prompt.text: prompt.spec for prompt in scenes_prompts(2, 0)}
    rng = np.random.default_rng(0)
    return np.stack([draw_right(specs[text], rng) for text in texts])


def test_evaluate_scores_right_pictures_with_one():
    batches = []

    def generate(texts):
        batches.append(len(texts))
        return right_pictures(texts)

    found = evaluate(generate, images_per_category=2, seed=0, batch_size=8)
    assert (found["seen"]["score"], found["unseen"]["score"], found["words"]["score"]) == (1.0, 1.0, 1.0)
    assert set(found["seen"]["categories"]) == set(v.OBJECT_CATEGORIES)
    assert found["seen"]["categories"]["position"] == {
        "score": 1.0,
        "interval": [1.0, 1.0],
        "count": 2,
        "right": 2,
    }
    assert found["words"]["unseen"]["count"] == 2
    assert len(found["results"]) == sum(batches) == 28
    assert max(batches) == 8


def test_evaluate_averages_over_categories_and_leaves_words_apart():
    def generate(texts):
        pictures = right_pictures(texts)
        for picture, text in zip(pictures, texts, strict=True):
            if "word" in text:
                picture[:] = 230
        return pictures

    found = evaluate(generate, images_per_category=2, seed=0, splits=("seen",))
    assert found["seen"]["score"] == 1.0
    assert found["words"]["score"] == 0.0
    assert "unseen" not in found


def test_evaluate_refuses_a_wrong_number_of_pictures():
    with pytest.raises(UserError, match="2 pictures for 14 prompts"):
        evaluate(lambda texts: np.zeros((2, 64, 64, 3), np.uint8), images_per_category=1, seed=0)


def test_the_example_of_the_documentation_runs():
    page = Path(__file__).parents[4] / "docs" / "benchmarks.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(page), "exec"), {})
