"""The detector of GenEval through transformers: Mask2Former for objects, CLIP for colours."""

from __future__ import annotations

import importlib.metadata
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from i1_hooks import UserError

from i1_bench.engines.clip import Clip
from i1_bench.geneval.crops import crop
from i1_bench.judges import DetectorJudge, Judge, JudgeConfig, Picture

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
COCO = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "computer mouse",
    "tv remote",
    "computer keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
]
"""The class names of GenEval in the order of COCO, with its own names for mouse, remote and keyboard."""
NUM_RESULTS = 100
SHORTEST, LONGEST = 800, 1333
MIN_RECORDED = 0.05
"""Boxes that score less are not recorded: no threshold in use comes near."""


@dataclass(frozen=True, kw_only=True)
class Mask2FormerClip(JudgeConfig):
    """Mask2Former Swin-S from transformers with CLIP ViT-L/14: a variant of the published detector.

    The published one is the mmdet checkpoint of another training run, so that confidences differ: calibrate
    the thresholds before comparing with published scores.

    Attributes:
        detector: a repository or folder of the detector.
        clip: a repository or folder of CLIP.
        device: where torch runs them.
    """

    detector: str = "facebook/mask2former-swin-small-coco-instance"
    clip: str = "openai/clip-vit-large-patch14"
    device: str = "cpu"

    def build(self) -> Judge:
        """Returns the judge.

        Raises:
            UserError: when torch or transformers is not installed, or the weights cannot be had.
        """
        return Mask2FormerClipJudge(self)

    def unrecorded(self) -> frozenset[str]:
        """Returns the fields that answers hardly depend on."""
        return frozenset({"device"})


class Mask2FormerClipJudge(DetectorJudge):
    """The judge of a `Mask2FormerClip`."""

    def __init__(self, config: Mask2FormerClip) -> None:
        try:
            import torch  # pyright: ignore[reportMissingImports] (an extra)
            import transformers  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "transformers"):
                raise
            raise UserError(
                "finding objects needs torch and transformers: pip install 'i1-bench[torch]'"
            ) from error
        try:
            model = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(config.detector)
            processor = transformers.AutoImageProcessor.from_pretrained(
                config.detector, size={"shortest_edge": SHORTEST, "longest_edge": LONGEST}
            )
        except (OSError, ValueError) as error:
            raise UserError(f"cannot load the detector {config.detector}: {error}") from error
        self._torch: Any = torch
        self._model: Any = model.eval().to(config.device)
        self._processor: Any = processor
        self._device = config.device
        self._clip = Clip(config.clip, config.device)
        self._colour_features: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the boxes of the classes asked for, and the colours of the best of some."""
        with self._lock:
            classes, boxes, masks = self.detect(picture.pixels)
            found: dict[str, list[dict[str, Any]]] = {}
            for name in question["classes"]:
                rows = []
                for index in np.nonzero(classes == COCO.index(name))[0]:
                    row: dict[str, Any] = {"box": [float(value) for value in boxes[index]]}
                    if len(rows) < question["colours"].get(name, 0):
                        row["colour"] = self._colour(picture.pixels, boxes[index], masks[index], name)
                    rows.append(row)
                found[name] = rows
        return found

    def detect(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns what is in a picture, best first, as mmdet's post-processing does it.

        The 100 best pairs of query and class; masks are resized to the padded input, cut to the picture, and
        resized to its size; a box's score is the class probability times the mean mask probability inside.

        Returns:
            classes (n,), boxes float32 (n, 5) with x1, y1, x2, y2 and score, masks bool (n, height, width).
        """
        torch = self._torch
        inputs = self._processor(images=pixels, return_tensors="pt").to(self._device)
        with torch.no_grad():
            output = self._model(pixel_values=inputs["pixel_values"], pixel_mask=inputs["pixel_mask"])
            scores = output.class_queries_logits[0].softmax(-1)[:, :-1]
            best, places = scores.flatten().topk(min(NUM_RESULTS, scores.numel()))
            queries, classes = places // scores.shape[1], places % scores.shape[1]
            resized = torch.nn.functional.interpolate
            padded = inputs["pixel_values"].shape[-2:]
            masks = output.masks_queries_logits[0][queries][None]
            masks = resized(masks, size=padded, mode="bilinear", align_corners=False)
            rows, columns = (int(inputs["pixel_mask"][0].any(axis).sum()) for axis in (1, 0))
            masks = masks[..., :rows, :columns]
            logits = resized(masks, size=pixels.shape[:2], mode="bilinear", align_corners=False)[0]
            inside = logits > 0
            mean = (logits.sigmoid() * inside).sum((1, 2)) / (inside.sum((1, 2)) + 1e-6)
            total = best * mean
        order = total.argsort(descending=True)
        order = order[total[order] > MIN_RECORDED]
        kept = inside[order].cpu().numpy()
        boxes = np.array([_box(mask) for mask in kept], np.float32).reshape(-1, 4)
        scored = np.concatenate([boxes, total[order].cpu().numpy().astype(np.float32)[:, None]], axis=1)
        return classes[order].cpu().numpy(), scored, kept

    def _colour(self, pixels: np.ndarray, box: np.ndarray, mask: np.ndarray, name: str) -> str:
        if name not in self._colour_features:
            templates = ("a photo of a {c} {n}", "a photo of a {c}-colored {n}", "a photo of a {c} object")
            features = []
            for colour in COLOURS:
                texts = self._clip.texts([template.format(c=colour, n=name) for template in templates])
                mean = texts.mean(0)
                features.append(mean / np.linalg.norm(mean))
            self._colour_features[name] = np.stack(features)
        image = self._clip.images([crop(pixels, box, mask)])[0]
        return COLOURS[int((self._colour_features[name] @ image).argmax())]

    def versions(self) -> dict[str, str]:
        """Returns the versions of torch and transformers."""
        return {name: importlib.metadata.version(name) for name in ("torch", "transformers")}


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
