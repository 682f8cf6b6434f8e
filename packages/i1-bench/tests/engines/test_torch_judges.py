"""The judges that run torch, on small random models in the released layouts."""

import json

import numpy as np
import pytest
from i1_bench.engines.clip import ClipScore
from i1_bench.engines.mask2former import COCO, COLOURS, Mask2FormerClip
from i1_bench.judges import Picture
from i1_hooks import UserError

pytestmark = pytest.mark.parity
WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "photo</w>", "of</w>", *(f"{c}</w>" for c in COLOURS)]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 400, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    letters = [chr(code) for code in range(97, 123)]
    vocabulary = [*WORDS, *letters, *(f"{letter}</w>" for letter in letters), "-", "-</w>"]
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    transformers.CLIPProcessor(processor, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def detector_folder(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("detector")
    torch.manual_seed(1)
    backbone = transformers.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        num_queries=6,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        num_labels=80,
    )
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    transformers.Mask2FormerImageProcessor(size={"shortest_edge": 384, "longest_edge": 384}).save_pretrained(
        folder
    )
    return folder


def picture():
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


def test_clip_score_is_that_of_the_model(clip_folder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    judge = ClipScore(clip=str(clip_folder)).build()
    found = judge.answer(Picture(pixels=picture()), "a photo of a red")
    model = transformers.CLIPModel.from_pretrained(clip_folder).eval()
    processor = transformers.CLIPProcessor.from_pretrained(clip_folder)
    inputs = processor(text=["a photo of a red"], images=[picture()], return_tensors="pt", padding=True)
    with torch.no_grad():
        output = model(**inputs)
    cosine = float((output.image_embeds * output.text_embeds).sum())
    assert found == pytest.approx(2.5 * max(cosine, 0), abs=1e-5)
    assert {"torch", "transformers"} <= judge.versions().keys()


def test_boxes_and_scores_of_the_detector(clip_folder, detector_folder, monkeypatch):
    monkeypatch.setattr("i1_bench.engines.mask2former.MIN_RECORDED", -1.0)
    judge = Mask2FormerClip(detector=str(detector_folder), clip=str(clip_folder)).build()
    classes, boxes, masks = judge.detect(picture())
    assert len(classes) == len(boxes) == len(masks) == 100
    assert masks.shape[1:] == (60, 90)
    assert np.all(np.diff(boxes[:, 4]) <= 0)
    assert 0 <= boxes[:, 4].min() <= boxes[:, 4].max() <= 1
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0,) * 4
        assert box[:4].tolist() == list(expected)
    best = COCO[int(classes[0])]
    answer = judge.answer(Picture(pixels=picture()), {"classes": [best, "bench"], "colours": {best: 1}})
    assert answer[best][0]["colour"] in COLOURS
    assert answer[best][0]["box"] == pytest.approx(boxes[0].tolist())
    assert all("colour" not in row for row in answer[best][1:])
    json.dumps(answer)


def test_the_score_is_that_of_transformers(clip_folder, detector_folder, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("i1_bench.engines.mask2former.MIN_RECORDED", -1.0)
    judge = Mask2FormerClip(detector=str(detector_folder), clip=str(clip_folder)).build()
    _, boxes, _ = judge.detect(picture())
    inputs = judge._processor(images=picture(), return_tensors="pt")
    with torch.no_grad():
        output = judge._model(**inputs)
    found = judge._processor.post_process_instance_segmentation(
        output, threshold=0.0, target_sizes=[(60, 90)], return_binary_maps=True
    )[0]
    theirs = sorted((segment["score"] for segment in found["segments_info"]), reverse=True)
    # transformers measures the masks at 384 by 384 pixels, and leaves out empty ones
    assert boxes[0, 4] == pytest.approx(theirs[0], abs=0.02)


@pytest.mark.parametrize("config", [ClipScore(clip="/nonesuch"), Mask2FormerClip(detector="/nonesuch")])
def test_weights_that_are_not_there_are_named(config):
    pytest.importorskip("torch")
    with pytest.raises(UserError, match=r"cannot load .*/nonesuch"):
        config.build()
