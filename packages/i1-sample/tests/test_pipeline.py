import json
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.adapters import TransformerAdapter
from i1_model.autoencoders import AutoencoderConfig
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.backbones.base import Backbone
from i1_model.backbones.patch_transformer import PatchTransformer
from i1_model.checkpoints.folder import LoadedModel
from i1_model.checkpoints.names import from_released
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders import TextEncoderConfig
from i1_sample import Pipeline
from i1_sample.guidances.classifier_free import ClassifierFree
from i1_sample.solvers.one_step import Euler
from i1_sample.testing.models import TINY
from i1_sample.time_grids.grids import Shifted, Uniform

PROMPTS = ["a red star", "two circles", 'the word "CAT"']


def pixels(pipeline: Pipeline, prompt, **options) -> np.ndarray:
    images = pipeline(prompt, output_type="np", **options).images
    assert isinstance(images, np.ndarray)
    return images


def latents(pipeline: Pipeline, prompt, **options) -> np.ndarray:
    images = pipeline(prompt, output_type="latent", **options).images
    assert isinstance(images, np.ndarray)
    return images


def test_output_types(pipeline: Pipeline) -> None:
    output = pipeline(PROMPTS[:2], batch_size=4, seed=0)
    assert [image.size for image in output.images] == [(16, 16)] * 2
    array = pixels(pipeline, PROMPTS[:2], batch_size=4, seed=0)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(np.stack([np.asarray(i) for i in output.images]), array)
    assert latents(pipeline, PROMPTS[:2], batch_size=4).shape == (2, 4, 4, 48)


def test_defaults_come_from_the_model(pipeline: Pipeline) -> None:
    settings = pipeline.plan("a star").settings
    assert settings.num_inference_steps == 3
    assert settings.guidance_scale == 4.0
    assert settings.time_grid == Shifted(shift=0.5)
    assert settings.guidance == ClassifierFree(rescale=0.25)
    given = pipeline.plan(
        "a star", shift=0.0, guidance_rescale=1, time_grid=Shifted(), guidance={"component": "cfg"}
    )
    assert given.settings.time_grid == Shifted(shift=0.0)
    assert given.settings.guidance == ClassifierFree(rescale=1.0)


def test_the_published_defaults_without_metadata(pipeline: Pipeline) -> None:
    plain = Pipeline(LoadedModel(pipeline.config, pipeline.params, {}), programs=pipeline.programs)
    settings = plain.plan("a star").settings
    assert (settings.num_inference_steps, settings.guidance_scale) == (250, 12.0)
    assert settings.time_grid == Shifted(shift=0.3)
    assert settings.guidance == ClassifierFree(rescale=1.0)


def test_noise_depends_on_seed_and_index_alone(pipeline: Pipeline) -> None:
    x, _ = pipeline.programs.start(np.uint32(5), np.array([2, 0], np.uint32), Euler(), (16, 16))
    for row, index in enumerate((2, 0)):
        key = jax.random.fold_in(jax.random.key(5), index)
        np.testing.assert_array_equal(x[row], jax.random.normal(key, (4, 4, 48)))


def test_pictures_are_the_same_alone_and_in_any_batch(pipeline: Pipeline) -> None:
    together = latents(pipeline, PROMPTS, num_images_per_prompt=2, seed=3, batch_size=4)
    assert len({image.tobytes() for image in together}) == 6
    singly = latents(pipeline, PROMPTS, num_images_per_prompt=2, seed=3, batch_size=1)
    np.testing.assert_allclose(singly, together, atol=1e-4)
    for index in (0, 3, 5):
        alone = latents(pipeline, PROMPTS[index // 2], seed=3, first_index=index)
        np.testing.assert_allclose(alone[0], together[index], atol=1e-4)


def test_a_call_repeats_bit_for_bit_and_seeds_differ(pipeline: Pipeline) -> None:
    first, second = (latents(pipeline, "a star", seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - latents(pipeline, "a star", seed=2)).max() > 0.1


def test_guidance_one_is_no_guidance_and_half_the_rows(pipeline: Pipeline, monkeypatch) -> None:
    rows = []
    original = pipeline.programs.step

    def counted(params, conditioning, *rest):
        rows.append(conditioning.tokens.shape[0])
        return original(params, conditioning, *rest)

    monkeypatch.setattr(pipeline.programs, "step", counted)
    one = latents(pipeline, "a star", guidance_scale=1.0, seed=0)
    none = latents(pipeline, "a star", guidance="none", guidance_scale=9.0, seed=0)
    assert rows == [1] * 6
    np.testing.assert_array_equal(one, none)
    near = latents(pipeline, "a star", guidance_scale=1.0 + 1e-6, seed=0)
    assert rows[6:] == [2] * 3
    np.testing.assert_allclose(near, one, atol=1e-4)


def test_each_prompt_is_encoded_once(pipeline: Pipeline, monkeypatch) -> None:
    encoded = []
    original = pipeline.programs.encode

    def counted(encoder_params, tokens):
        encoded.append(len(tokens[0]["ids"]))
        return original(encoder_params, tokens)

    monkeypatch.setattr(pipeline.programs, "encode", counted)
    pixels(pipeline, PROMPTS, num_images_per_prompt=3, batch_size=4)
    assert encoded == [4]


def test_a_solver_by_name_comes_near_to_many_small_steps(pipeline: Pipeline) -> None:
    fine = latents(pipeline, "a star", num_inference_steps=400, time_grid="uniform", seed=0)
    heun, euler = (
        latents(pipeline, "a star", num_inference_steps=20, time_grid="uniform", solver=solver, seed=0)
        for solver in ("heun", "euler")
    )
    assert np.abs(heun - fine).mean() < 0.3 * np.abs(euler - fine).mean()


def test_stream_yields_every_step_and_can_be_left(pipeline: Pipeline) -> None:
    events = list(pipeline.stream([*PROMPTS, "a ring", "a cross"], batch_size=4, seed=0))
    assert [(list(e.positions), e.step) for e in events] == [
        *(([0, 1, 2, 3], step) for step in (1, 2, 3)),
        *(([4], step) for step in (1, 2, 3)),
    ]
    assert [e.is_last for e in events] == [False, False, True] * 2
    assert events[2].time == 1.0
    assert events[-1].images().shape == (1, 16, 16, 3)
    assert events[-1].latents.shape == (1, 4, 4, 48)
    np.testing.assert_array_equal(events[2].images()[:3], pixels(pipeline, PROMPTS, batch_size=4, seed=0))
    stream = pipeline.stream("a star")
    next(stream)
    stream.close()


def test_callback_on_step_end_sees_steps_and_may_stop(pipeline: Pipeline) -> None:
    seen = []

    def look(given: Pipeline, step: int, time: float, named: dict) -> dict:
        seen.append((given is pipeline, step, round(time, 2), named["latents"].shape))
        return named

    plain = latents(pipeline, "a star", seed=1)
    np.testing.assert_array_equal(latents(pipeline, "a star", seed=1, callback_on_step_end=look), plain)
    assert seen == [(True, step, time, (1, 4, 4, 48)) for step, time in ((0, 0.2), (1, 0.5), (2, 1.0))]

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline("a star", callback_on_step_end=stop)


def test_callback_on_step_end_may_change_the_latents(pipeline: Pipeline) -> None:
    def end_at_zero(given: Pipeline, step: int, time: float, named: dict) -> dict:
        return {"latents": 0 * named["latents"]} if step == 2 else {}

    assert not latents(pipeline, "a star", callback_on_step_end=end_at_zero).any()
    zeroed = latents(
        pipeline,
        "a star",
        seed=1,
        callback_on_step_end=lambda p, step, t, n: {"latents": 0 * n["latents"]} if step == 0 else None,
    )
    assert np.abs(zeroed - latents(pipeline, "a star", seed=1)).max() > 0.1
    for wrong in ({"latents": np.zeros((1, 2))}, {"x": 1}, 3):
        with pytest.raises(UserError, match="callback_on_step_end"):
            pipeline("a star", callback_on_step_end=lambda *given, wrong=wrong: wrong)


def test_given_noise_and_given_embeds_are_used(pipeline: Pipeline) -> None:
    plain = latents(pipeline, PROMPTS, seed=4, batch_size=4)
    noise = np.stack(
        [jax.random.normal(jax.random.fold_in(jax.random.key(4), k), (4, 4, 48)) for k in range(3)]
    )
    np.testing.assert_array_equal(latents(pipeline, PROMPTS, latents=noise, batch_size=4), plain)
    embeds = pipeline.encode_prompt(PROMPTS)
    assert embeds.captions[0].shape == (3, 12, 16)
    np.testing.assert_allclose(
        latents(pipeline, None, prompt_embeds=embeds, seed=4, batch_size=4), plain, atol=1e-5
    )
    for options, message in (
        ({"latents": noise[:2]}, r"latents are float32 \(2, 4, 4, 48\); expected float32 \(3, 4, 4, 48\)"),
        ({"latents": noise * np.nan}, "latents hold values that are not finite"),
        ({"prompt_embeds": embeds}, "prompt_embeds take the place of a prompt"),
    ):
        with pytest.raises(UserError, match=message):
            pipeline(PROMPTS, **options)


def test_a_negative_prompt_takes_the_place_of_the_null_caption(pipeline: Pipeline) -> None:
    plain = latents(pipeline, "a star", seed=1)
    led_away = latents(pipeline, "a star", seed=1, negative_prompt="a ring")
    assert np.abs(led_away - plain).max() > 1e-2
    for null in ("", None):
        np.testing.assert_array_equal(latents(pipeline, "a star", seed=1, negative_prompt=null), plain)
    same = latents(pipeline, "a star", seed=1, negative_prompt="a star")
    none = latents(pipeline, "a star", seed=1, guidance="none")
    np.testing.assert_allclose(same, none, atol=1e-4)
    mixed = latents(
        pipeline, ["a star", "a star"], seed=1, first_index=0, negative_prompt=[None, "a ring"], batch_size=2
    )
    np.testing.assert_allclose(mixed[0], plain[0], atol=1e-4)
    alone = latents(pipeline, "a star", seed=1, first_index=1, negative_prompt="a ring")
    np.testing.assert_allclose(mixed[1], alone[0], atol=1e-4)
    for options, message in (
        ({"negative_prompt": ["a ring"]}, "negative_prompt: 1 texts for 2 prompts; give one per prompt"),
        ({"negative_prompt": 3}, "negative_prompt must be text or one text per prompt, got 3"),
        ({"negative_prompt": "a ring", "guidance_scale": 1}, "does not apply: there is no guidance"),
        ({"negative_prompt": "a \0"}, "is a control character"),
    ):
        with pytest.raises(UserError, match=message):
            pipeline.plan(["a star", "a cross"], **options)


def test_seed_zero_is_a_seed_and_no_seed_is_drawn_and_reported(pipeline: Pipeline) -> None:
    assert pipeline.plan("a star", seed=0).seed == 0
    drawn = {pipeline.plan("a star").seed for _ in range(8)}
    assert len(drawn) > 1
    output = pipeline("a star", output_type="latent")
    np.testing.assert_array_equal(output.images, latents(pipeline, "a star", seed=output.job.seed))


def test_latents_that_are_not_finite_are_an_error_not_a_black_picture(pipeline: Pipeline) -> None:
    params = jax.tree.map(lambda leaf: leaf * np.float32("nan"), pipeline.params)
    broken = Pipeline(LoadedModel(pipeline.config, params, pipeline.metadata), programs=pipeline.programs)
    with pytest.raises(UserError, match="image 0 of 'a star': its latents are not finite after 3 steps"):
        broken("a star")


def test_rewriter(pipeline: Pipeline) -> None:
    job = pipeline.plan("a star", rewriter={"component": "template", "template": "{prompt} please"})
    assert (job.prompts, job.rewritten_prompts) == (("a star",), ("a star please",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": []}, "at least one"),
        ({"prompt": ["a star", 3]}, "must be text"),
        ({"prompt": "star " * 13}, "has 13 tokens, the hash encoder takes at most 12"),
        ({"num_inference_steps": 0}, "num_inference_steps must be an integer from 1 to 10000, got 0"),
        ({"num_inference_steps": 2.5}, "num_inference_steps must be an integer from 1 to 10000, got 2.5"),
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295, got -1"),
        ({"num_images_per_prompt": 0}, "num_images_per_prompt must be an integer of at least 1, got 0"),
        ({"batch_size": True}, "batch_size must be an integer of at least 1, got True"),
        ({"width": 1000, "height": 20}, "height 20: use a positive multiple of 8"),
        ({"width": 0}, "width must be an integer of at least 1, got 0"),
        ({"height": 16.0}, "height must be an integer of at least 1, got 16.0"),
        (
            {"guidance_scale": float("nan")},
            "guidance_scale must be a finite number from .*, got nan",
        ),
        ({"guidance_scale": "big"}, "guidance_scale must be a finite number from -1000 to 1000, got 'big'"),
        ({"guidance_rescale": 3.0}, "guidance_rescale must be a finite number from 0 to 1, got 3.0"),
        ({"shift": -1.0}, "shift must be a finite number of at least 0, got -1.0"),
        ({"shift": 0.3, "time_grid": "uniform"}, "Uniform has no shift"),
        ({"guidance_rescale": 0.5, "guidance": "cfg_zero_star"}, "ZeroStar has no rescale"),
        ({"steps": 3}, "unknown option 'steps'; choices: .*num_inference_steps"),
        ({"num_inference_steps": 10**6}, "from 1 to 10000, got 1000000"),
        ({"solver": "eulr"}, "unknown solver 'eulr'; did you mean 'euler'"),
        ({"guidance": {"component": "cfg", "resale": 1}}, "did you mean 'guidances.rescale'"),
        ({"output_type": "jpg"}, "choose pil, np or latent"),
    ],
)
def test_bad_options_are_user_errors(pipeline: Pipeline, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pipeline(**{"prompt": "a star", **options})


def test_a_backbone_for_one_size_alone_says_so_before_any_work(pipeline: Pipeline, monkeypatch) -> None:
    assert pipeline.plan("a star", width=24).height == 16
    monkeypatch.setattr(PatchTransformer, "set_size", Backbone.set_size)
    with pytest.raises(UserError, match="DualStreamModule is made for one size of pictures"):
        pipeline.plan("a star", width=24)
    assert pipeline.plan("a star").width == 16


def test_unknown_sampling_metadata_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match=r"sampling\.stepz"):
        Pipeline(LoadedModel(pipeline.config, pipeline.params, {"sampling": {"stepz": 3}}))


def test_bfloat16(model_folder: Path, pipeline: Pipeline) -> None:
    half = Pipeline.from_pretrained(model_folder, dtype="bfloat16")
    assert half.config.compute_dtype == "bfloat16"
    difference = np.abs(latents(half, "a star", seed=0) - latents(pipeline, "a star", seed=0))
    assert 0 < difference.max() < 0.5


class RecordedEncoder:
    """Gives the recorded text back; the id of a prompt is its row."""

    params = ()

    def __init__(self, text: np.ndarray, mask: np.ndarray) -> None:
        self.text, self.mask = text, mask.astype(bool)

    def tokenize(self, prompts):
        rows = np.array([int(prompt) for prompt in prompts])
        return {"ids": np.repeat(rows[:, None], self.mask.shape[1], 1), "mask": self.mask[rows]}

    def encode(self, params, tokens):
        return jax.numpy.asarray(self.text)[tokens["ids"][:, 0]]


@dataclass(frozen=True, kw_only=True)
class Recorded(TextEncoderConfig):
    folder: str
    num_tokens: int = 7
    width: int = 10

    def build(self) -> RecordedEncoder:
        with np.load(Path(self.folder) / "euler_trajectory.npz") as arrays:
            return RecordedEncoder(arrays["text"], arrays["mask"])


@dataclass(frozen=True, kw_only=True)
class FourChannels(AutoencoderConfig):
    """Only its sizes matter: the recorded latents are compared undecoded."""

    channels: int = 4
    factor: int = 32

    def build(self):
        return PatchAutoencoder(factor=self.factor).build()


@pytest.mark.golden
@pytest.mark.parametrize(("grid", "name"), [("shifted", "latents"), ("uniform", "jax_latents_uniform_grid")])
def test_recorded_trajectory(goldens: Path, grid: str, name: str, monkeypatch) -> None:
    sidecar = json.loads((goldens / "euler_trajectory.json").read_text())
    config = ModelConfig(
        backbone=DualStream(hidden_width=12, num_heads=2, depth=5),
        adapter=TransformerAdapter(num_blocks=2, num_heads=2),
        text_encoders=(Recorded(folder=str(goldens)),),
        autoencoder=FourChannels(),
        flow=RectifiedFlow(),
        resolution=256,
    )
    with np.load(goldens / "checkpoints" / "checkpoint.npz-000000010") as arrays:
        prefix = "params_ema/"
        weights = {n.removeprefix(prefix): arrays[n] for n in arrays.files if n.startswith(prefix)}
    pipeline = Pipeline(LoadedModel(config, from_released(config, weights), {}))
    with np.load(goldens / "euler_trajectory.npz") as arrays:
        noise, recorded = arrays["noise"].transpose(0, 2, 3, 1), arrays[name].transpose(0, 1, 3, 4, 2)
    monkeypatch.setattr(pipeline.programs, "start", lambda seed, indices, solver, size: (noise, ()))
    events = pipeline.stream(
        ["0", "1"],
        num_inference_steps=sidecar["steps"],
        guidance_scale=sidecar["cfg_scale"],
        guidance_rescale=sidecar["cfg_rescale"],
        time_grid=grid,
    )
    for event in events:
        np.testing.assert_allclose(
            event.latents, recorded[event.step], atol=3e-5, err_msg=f"step {event.step}"
        )


def test_tiny_model_matches_its_folder(pipeline: Pipeline) -> None:
    assert pipeline.config == TINY
    assert pipeline.metadata["step"] == 7


def test_presets_hold_where_nothing_is_given(pipeline: Pipeline) -> None:
    settings = pipeline.plan("a star", preset="fast").settings
    assert (settings.num_inference_steps, type(settings.solver).__name__) == (30, "DPMSolverPP2M")
    assert settings.guidance_scale == 4.0
    given = pipeline.plan("a star", preset="fast", num_inference_steps=5, solver="euler").settings
    assert (given.num_inference_steps, given.solver) == (5, Euler())
    assert type(pipeline.plan("a star").settings.solver) is Euler
    assert pipeline.plan("a star", preset="close").settings.time_grid == Uniform()
    assert pipeline.plan("a star", preset="fast").settings.time_grid == Shifted(shift=0.5)
    with pytest.raises(UserError, match="unknown preset 'quick'; choices: close, fast"):
        pipeline.plan("a star", preset="quick")
