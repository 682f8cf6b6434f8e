"""`from_pretrained` with repositories: the Hub's real cache layout, and a Hub that refuses."""

import gc
import json
import shutil
import weakref
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.checkpoints.folder import load_model
from i1_model.checkpoints.locate import locate_model
from i1_model.checkpoints.stored import open_stored
from i1_model.conversion.convert import convert
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from i1_sample import Pipeline
from i1_sample.programs import Programs
from PIL import Image
from published import COMMIT, ENCODER, MODEL, VAE, find_parts, snapshot, use_cache, write_encoder, write_vae

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
pytest.importorskip("tokenizers", reason="tokenizers is not installed")
PROMPTS = ["a red circle", "two blue stars"]


@pytest.fixture(scope="module")
def whole(published: Path) -> Pipeline:
    """The published repository; its compiled programs serve all tests."""
    with pytest.MonkeyPatch.context() as patch:
        use_cache(patch, published)
        return Pipeline.from_pretrained(MODEL)


@pytest.fixture
def compiled(whole: Pipeline, monkeypatch) -> None:
    """Lets pipelines of the same configuration share the programs."""

    def programs(config, **options):
        return whole.programs if config == whole.config else Programs(config, **options)

    monkeypatch.setattr("i1_sample.pipeline.Programs", programs)


def latents(pipeline: Pipeline, **options) -> np.ndarray:
    made = pipeline(PROMPTS, num_inference_steps=2, output_type="latent", seed=0, **options).images
    assert isinstance(made, np.ndarray)
    return made


def test_the_published_repository(whole: Pipeline, caplog):
    config = whole.config
    assert (whole.name, whole.revision) == (MODEL, COMMIT)
    assert whole.revisions == dict.fromkeys((MODEL, ENCODER, VAE), COMMIT)
    assert isinstance(config.text_encoders[0], T5GemmaEncoder)
    assert (config.text_encoders[0].depth, config.text_encoders[0].width) == (2, 16)
    assert isinstance(config.autoencoder, Flux2Autoencoder)
    settings = whole.plan(PROMPTS).settings
    assert (settings.num_inference_steps, settings.guidance_scale) == (250, 12.0)
    assert repr(settings.solver) == "Euler()"
    assert (settings.time_grid.shift, settings.guidance.rescale) == (0.3, 1.0)  # pyright: ignore[reportAttributeAccessIssue]
    assert [image.size for image in whole(PROMPTS, num_inference_steps=2).images] == [(16, 16)] * 2
    assert np.isfinite(latents(whole)).all()
    assert not caplog.messages
    whole(["two stars", "a " * 9], num_inference_steps=2)
    assert caplog.messages == [f"1 of 2 prompts cut to 7 tokens; most was lost, 2 tokens, by {'a ' * 9!r}"]


def test_offload_holds_one_part_at_a_time(cache: Path, whole: Pipeline, compiled: None):
    pipeline = Pipeline.from_pretrained(MODEL, offload=True)
    assert pipeline._params is None
    job = pipeline.plan(PROMPTS, num_inference_steps=1)
    texts = [weakref.ref(leaf) for leaf in jax.tree.leaves(pipeline.programs.encoder_params)]
    for _ in pipeline.run(job):
        gc.collect()
        assert not any(text() for text in texts)
    assert pipeline._params is not None
    np.testing.assert_array_equal(latents(pipeline), latents(whole))


def test_every_part_shows_how_far_it_is_read(cache: Path, monkeypatch):
    shown: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def bar(what: str):
        shown[what] = []
        yield lambda done, total: shown[what].append((done, total))

    for module in ("loading", "programs"):
        monkeypatch.setattr(f"i1_sample.{module}.loading_bar", bar)
    Pipeline.from_pretrained(MODEL)
    assert list(shown) == [f"denoiser {MODEL}", f"text encoder {ENCODER}", f"autoencoder {VAE}"]
    for calls in shown.values():
        assert len(calls) > 20
        assert calls == sorted(calls)
        assert calls[-1][0] == calls[-1][1]


def test_repositories_and_folders_that_convert_wrote(cache: Path, tmp_path: Path, monkeypatch):
    published = snapshot(cache, MODEL) / "1024_resolution_checkpoint_torch.pt"
    expected = find_parts(MODEL)
    hub = convert(published, tmp_path / "hub", "diffusers", shard_bytes=20_000)
    ours = convert(hub, tmp_path / "ours", "i1")
    for model in (hub, ours, published, published.parent):
        parts = find_parts(model)
        assert (parts.config, parts.revision) == (expected.config, None)
        jax.tree.map(np.testing.assert_array_equal, parts.load_params(), expected.load_params())
    other = shutil.copytree(cache, tmp_path / "cache")
    shutil.copytree(hub, snapshot(other, "me/mine"), dirs_exist_ok=True)
    use_cache(monkeypatch, other)
    config = snapshot(other, "me/mine") / "transformer" / "config.json"
    parts, expected = find_parts("me/mine"), find_parts(MODEL)
    assert (parts.config, parts.revision) == (expected.config, COMMIT)
    jax.tree.map(np.testing.assert_array_equal, parts.load_params(), expected.load_params())
    config.write_text(config.read_text().replace('"depth": 3', '"depth": 5'))
    with pytest.raises(UserError, match=r"parameters do not fit the model: \d+ missing: .*blocks_3") as error:
        find_parts("me/mine").load_params()
    assert "\n" not in str(error.value)


def test_repositories_and_names_are_converted(cache: Path, tmp_path: Path):
    for model in (MODEL, f"{MODEL}@{COMMIT}", "scenes"):
        folder = convert(model, tmp_path / model.replace("/", "-"), "i1")
        jax.tree.map(
            np.testing.assert_array_equal, find_parts(model).load_params(), load_model(folder).params
        )


def test_resolution_and_dtype(copied: Path):
    folder = snapshot(copied, MODEL)
    (folder / "1024_resolution_checkpoint_torch.pt").rename(folder / "256_resolution_checkpoint_torch.pt")
    pipeline = Pipeline.from_pretrained(MODEL, resolution=32, dtype="bfloat16")
    assert pipeline.config.latent_shape == (16, 16, 4)
    kernel = pipeline.params["backbone"]["x_embedder"]["proj"]["kernel"]
    assert (kernel[...].dtype, pipeline.config.compute_dtype) == ("bfloat16", "bfloat16")
    with pytest.raises(UserError, match="resolution 1000: use a positive multiple of 16"):
        find_parts(MODEL, resolution=1000)
    with pytest.raises(UserError, match=r"has no 1024_.*its resolutions are 256"):
        find_parts(MODEL, resolution=1024)
    with open_stored(folder) as stored:
        assert stored.config.resolution == 16
    with pytest.raises(UserError, match="resolution 30: use a positive multiple of 4"):
        find_parts(folder, resolution=30)


def test_parts_by_path(copied: Path, tmp_path: Path):
    for repository in (ENCODER, VAE):
        shutil.rmtree(snapshot(copied, repository).parents[1])
    text, vae = write_encoder(tmp_path / "text"), write_vae(tmp_path / "flux" / "vae")
    parts = find_parts(MODEL, text_encoder=text, vae=vae.parent)
    assert parts.config.text_encoders[0].path == str(text)  # pyright: ignore[reportAttributeAccessIssue]
    assert parts.config.autoencoder.path == str(vae)  # pyright: ignore[reportAttributeAccessIssue]
    assert find_parts(MODEL, text_encoder=text, vae=vae).config == parts.config
    with pytest.raises(
        UserError, match=f"{ENCODER} .* is neither a folder here nor in the Hub's cache.*--text-encoder"
    ):
        find_parts(MODEL, vae=vae)
    with pytest.raises(UserError, match=f"{VAE} .* is neither a folder here nor in the Hub's cache.*--vae"):
        find_parts(MODEL, text_encoder=text)
    with pytest.raises(UserError, match=r"'\./absent' is not a folder"):
        find_parts(MODEL, text_encoder="./absent", vae=vae)
    (text / "config.json").write_text((text / "config.json").read_text().replace(": 16,", ": 24,"))
    with pytest.raises(UserError, match="gives 24 channels, the model was trained on 16"):
        find_parts(MODEL, text_encoder=text, vae=vae)
    with pytest.raises(UserError, match="'x' does not apply: the model has 0 pretrained"):
        find_parts("scenes", text_encoder="x")
    with pytest.raises(UserError, match="'x' does not apply: PatchAutoencoder has no weights"):
        find_parts("scenes", vae="x")


def test_names_and_revisions(cache: Path):
    at_commit = f"@{COMMIT}"
    for name, revision in ((MODEL, COMMIT), (MODEL + at_commit, None), (MODEL + at_commit, COMMIT)):
        path, found = locate_model(name, revision=revision)
        assert found is not None
        assert (path, found.repository, found.commit) == (snapshot(cache, MODEL), MODEL, COMMIT)
    with pytest.raises(UserError, match=r"names revision '0123.*, and 'v1' is given as well: leave one out"):
        locate_model(MODEL + at_commit, revision="v1")
    parts = find_parts(MODEL + at_commit, text_encoder=ENCODER + at_commit, vae=VAE + at_commit)
    assert parts.revisions == dict.fromkeys((MODEL, ENCODER, VAE), COMMIT)
    assert parts.config == find_parts(MODEL).config
    with pytest.raises(UserError, match=rf"{VAE} \(revision v2\) is neither a folder here nor in the Hub's"):
        find_parts(MODEL, vae=f"{VAE}@v2")
    with pytest.raises(
        UserError, match=r"me/absent \(revision main\) is neither a folder here nor in the Hub's cache"
    ):
        locate_model("me/absent")
    with pytest.raises(UserError, match="revision v1"):
        locate_model(MODEL, revision="v1")
    with pytest.raises(UserError, match="'v1' does not apply: 'scenes' is not a repository"):
        locate_model("scenes", revision="v1")
    with pytest.raises(UserError, match="did you mean 'scenes'"):
        locate_model("scene")


def test_tiles_of_the_autoencoder(cache: Path):
    assert find_parts(MODEL, vae_tile=64).config.autoencoder.tile == 32  # pyright: ignore[reportAttributeAccessIssue]
    for tile in (32, 35):
        with pytest.raises(UserError, match=f"vae tile {tile}: use a multiple of 2, at least 34"):
            find_parts(MODEL, vae_tile=tile)


def test_the_command(cache: Path, compiled: None, tmp_path: Path, capsys):
    picture = tmp_path / "picture.png"
    shape = ("--batch-size", "2", "--steps", "2", "--solver", "euler")  # what is compiled already
    command = ("sample", PROMPTS[0], "--model", MODEL, *shape, "--offload")
    assert main([*command, "--preset", "fast", "--output", str(picture)]) == 0
    with Image.open(picture) as image:
        record, text = json.loads(image.text["i1"]), image.text["parameters"]  # pyright: ignore[reportAttributeAccessIssue]
    assert (record["model"], record["revision"], record["preset"]) == (MODEL, COMMIT, "fast")
    assert record["revisions"] == dict.fromkeys((MODEL, ENCODER, VAE), COMMIT)
    assert (record["solver"], record["num_inference_steps"]) == ({"component": "euler"}, 2)
    assert f"Model: {MODEL}, Model hash: {COMMIT[:10]}" in text
