"""`from_pretrained` with repositories: the Hub's real cache layout, and a Hub that refuses."""

import errno
import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import weakref
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jax
import numpy as np
import pytest
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.formats.convert import convert
from i1_model.formats.stored import open_stored
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from i1_sample import Pipeline
from i1_sample.loading import find_parts, locate
from i1_sample.programs import Programs
from PIL import Image
from published import COMMIT, ENCODER, MODEL, VAE, snapshot, write_cache, write_encoder, write_vae

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
pytest.importorskip("tokenizers", reason="tokenizers is not installed")
PROMPTS = ["a red circle", "two blue stars"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    return write_cache(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def whole(filled: Path) -> Pipeline:
    """The published repository; its compiled programs serve all tests."""
    with pytest.MonkeyPatch.context() as patch:
        use(patch, filled)
        return Pipeline.from_pretrained(MODEL)


@pytest.fixture
def compiled(whole: Pipeline, monkeypatch) -> None:
    """Lets pipelines of the same configuration share the programs."""

    def programs(config, **options):
        return whole.programs if config == whole.config else Programs(config, **options)

    monkeypatch.setattr("i1_sample.pipeline.Programs", programs)


def use(monkeypatch, cache: Path) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


@pytest.fixture
def cache(filled: Path, monkeypatch) -> Path:
    return use(monkeypatch, filled)


@pytest.fixture
def copied(filled: Path, tmp_path: Path, monkeypatch) -> Path:
    return use(monkeypatch, Path(shutil.copytree(filled, tmp_path / "cache")))


def latents(pipeline: Pipeline, **options) -> np.ndarray:
    made = pipeline(PROMPTS, num_inference_steps=2, output_type="latent", **options).images
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
    assert (settings.num_steps, settings.guidance_scale) == (250, 12.0)
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
    use(monkeypatch, other)
    config = snapshot(other, "me/mine") / "transformer" / "config.json"
    parts, expected = find_parts("me/mine"), find_parts(MODEL)
    assert (parts.config, parts.revision) == (expected.config, COMMIT)
    jax.tree.map(np.testing.assert_array_equal, parts.load_params(), expected.load_params())
    config.write_text(config.read_text().replace('"depth": 3', '"depth": 5'))
    with pytest.raises(UserError, match=r"parameters do not fit the model: \d+ missing: .*blocks_3") as error:
        find_parts("me/mine").load_params()
    assert "\n" not in str(error.value)


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
        path, found = locate(name, revision=revision)
        assert found is not None
        assert (path, found.repository, found.commit) == (snapshot(cache, MODEL), MODEL, COMMIT)
    with pytest.raises(UserError, match=r"names revision '0123.*, and 'v1' is given as well: leave one out"):
        locate(MODEL + at_commit, revision="v1")
    parts = find_parts(MODEL + at_commit, text_encoder=ENCODER + at_commit, vae=VAE + at_commit)
    assert parts.revisions == dict.fromkeys((MODEL, ENCODER, VAE), COMMIT)
    assert parts.config == find_parts(MODEL).config
    with pytest.raises(UserError, match=rf"{VAE} \(revision v2\) is neither a folder here nor in the Hub's"):
        find_parts(MODEL, vae=f"{VAE}@v2")
    with pytest.raises(
        UserError, match=r"me/absent \(revision main\) is neither a folder here nor in the Hub's cache"
    ):
        locate("me/absent")
    with pytest.raises(UserError, match="revision v1"):
        locate(MODEL, revision="v1")
    with pytest.raises(UserError, match="'v1' does not apply: 'scenes' is not a repository"):
        locate("scenes", revision="v1")
    with pytest.raises(UserError, match="did you mean 'scenes'"):
        locate("scene")


def test_tiles_of_the_autoencoder(cache: Path):
    assert find_parts(MODEL, vae_tile=64).config.autoencoder.tile == 32  # pyright: ignore[reportAttributeAccessIssue]
    for tile in (32, 35):
        with pytest.raises(UserError, match=f"vae tile {tile}: use a multiple of 2, at least 34"):
            find_parts(MODEL, vae_tile=tile)


def test_no_room_for_a_download(monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(UserError, match=rf"cannot download {MODEL}: .*No space left on device"):
        locate(MODEL)


def command(*arguments: str) -> list[str]:
    """The command with what the shared programs were compiled for: two rows, two steps of Euler."""
    shape = ["--batch-size", "2", "--steps", "2", "--solver", "euler"]
    return ["sample", PROMPTS[0], "--model", MODEL, *shape, *arguments]


def test_the_command(cache: Path, compiled: None, tmp_path: Path, capsys):
    picture = tmp_path / "picture.png"
    assert main(command("--offload", "--preset", "fast", "--output", str(picture))) == 0
    with Image.open(picture) as image:
        record, text = json.loads(image.text["i1"]), image.text["parameters"]  # pyright: ignore[reportAttributeAccessIssue]
    assert (record["model"], record["revision"], record["preset"]) == (MODEL, COMMIT, "fast")
    assert record["revisions"] == dict.fromkeys((MODEL, ENCODER, VAE), COMMIT)
    assert (record["solver"], record["steps"]) == ({"component": "euler"}, 2)
    assert f"Model: {MODEL}, Model hash: {COMMIT[:10]}" in text


def test_a_resolution_that_does_not_fit(cache: Path, tmp_path: Path, capsys):
    assert main(command("--output", str(tmp_path / "a.png"), "--resolution", "1000")) == 2
    assert capsys.readouterr().err.endswith("resolution 1000: use a positive multiple of 16\n")
    assert not list(tmp_path.iterdir())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut_json(path: Path) -> None:
    path.write_text(path.read_text()[:20])


SECOND_SHARD = "model-00002-of-*.safetensors"


@pytest.mark.parametrize(
    ("repository", "name", "damage", "message"),
    [
        (MODEL, "*.pt", cut, "is truncated, corrupted or not a checkpoint"),
        (MODEL, "*.pt", flip, "is truncated, corrupted or not a checkpoint"),
        (ENCODER, SECOND_SHARD, Path.unlink, "lacks model-00002-of-"),
        (ENCODER, SECOND_SHARD, cut, "is truncated or"),
        (ENCODER, "tokenizer.json", cut_json, "is truncated or not a tokenizer"),
        (ENCODER, "config.json", cut_json, "is truncated or not JSON"),
        (VAE, "vae/*.safetensors", cut, "is truncated or"),
        (VAE, "vae/config.json", Path.unlink, "has no config.json"),
    ],
)
def test_what_is_damaged_is_one_line_and_leaves_no_picture(
    copied: Path, tmp_path: Path, capsys, repository, name, damage, message
):
    (path,) = snapshot(copied, repository).glob(name)
    damage(path)
    picture = tmp_path / "pictures" / "picture.png"
    status = main(command("--output", str(picture)))
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(picture.parent.iterdir())


class Refusing(BaseHTTPRequestHandler):
    """Answers as the Hub does: FLUX is gated, one name is absent, another is broken."""

    def do_GET(self):
        code, status = next(
            answer
            for name, answer in {
                "FLUX": ("GatedRepo", 403),
                "t5gemma": ("GatedRepo", 401),
                "broken": ("", 500),
                "": ("RepoNotFound", 404),
            }.items()
            if name in self.path
        )
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, format, *args):
        del format, args


def test_a_hub_that_refuses(tmp_path: Path):
    """Each refusal in a process of its own settings, as a user meets it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import sys\nfrom i1_hooks import UserError\nfrom i1_sample.hub import fetch\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        fetch(name, ['*'], instead='--vae FOLDER')\n"
        "    except UserError as error:\n        print(error)\n"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "0",
    }
    names = [VAE, ENCODER, "me/absent", "me/broken"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, env=environment
    )
    server.shutdown()
    server.server_close()
    gated, encoder, absent, broken = done.stdout.splitlines()
    licence = (
        "accept the FLUX.2-dev Non-Commercial License at https://huggingface.co/black-forest-labs/FLUX.2-dev"
    )
    assert licence in gated
    assert "hf auth login" in gated
    assert "or give --vae FOLDER" in gated
    assert f"accept the Gemma Terms of Use at https://huggingface.co/{ENCODER}" in encoder
    assert "me/absent is neither a folder here nor a repository" in absent
    assert "me/broken (revision main) is neither a folder here nor in the Hub's cache" in broken
