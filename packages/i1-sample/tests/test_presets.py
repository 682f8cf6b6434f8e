"""A preset comes near the picture of 250 steps with the weights that come with the package."""

import numpy as np
import pytest
from i1_sample import Pipeline

PROMPTS = ["a red circle above a blue square", 'the word "CAT" in purple', "three yellow stars"]


@pytest.mark.slow
def test_close_is_within_two_percent_of_250_steps_in_30_evaluations() -> None:
    pipeline = Pipeline.from_pretrained("scenes")
    options = {"seed": 5, "output_type": "latent"}
    whole = pipeline(PROMPTS, num_inference_steps=250, solver="euler", **options).images
    job = pipeline.plan(PROMPTS, preset="close")
    assert job.num_steps * job.settings.solver.num_evaluations <= 30
    close = pipeline(PROMPTS, preset="close", **options).images
    assert np.sqrt(np.mean((close - whole) ** 2) / np.mean(whole**2)) < 0.02
