"""COCO box scores from flat arrays, by pycocotools' ``COCOeval``."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "BoxSet", "ClassScore", "CocoScores", "score_boxes"]

# Positions in COCOeval.stats under MMDetection's names; its proposal_nums are (100, 300, 1000).
STATISTICS = {
    "mAP": 0,
    "mAP_50": 1,
    "mAP_75": 2,
    "mAP_s": 3,
    "mAP_m": 4,
    "mAP_l": 5,
    "AR@100": 6,
    "AR@300": 7,
    "AR@1000": 8,
    "AR_s@1000": 9,
    "AR_m@1000": 10,
    "AR_l@1000": 11,
}


@dataclass(frozen=True)
class BoxSet:
    """Boxes of many images, truth or predictions.

    Attributes:
        images: Image number of each box, shape (n,).
        labels: Class index of each box, shape (n,).
        xywh: (left, top, width, height) in pixels, shape (n, 4), float64.
        areas: Square pixels, shape (n,).
        scores: Shape (n,), predictions only.
        iscrowd: Shape (n,), truth only.
    """

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    scores: NDArray[np.float64] | None = None
    iscrowd: NDArray[np.bool_] | None = None

    def to_annotations(self) -> list[dict[str, Any]]:
        """COCO annotation dicts; category and annotation ids start at 1."""
        columns: dict[str, list[Any]] = {
            "image_id": self.images.tolist(),
            "category_id": (self.labels + 1).tolist(),
            "bbox": self.xywh.tolist(),
            "area": self.areas.tolist(),
            "iscrowd": [0] * len(self.images) if self.iscrowd is None else self.iscrowd.astype(int).tolist(),
        }
        if self.scores is not None:
            columns["score"] = self.scores.tolist()
        names = list(columns)
        return [
            {"id": number, **dict(zip(names, values, strict=True))}
            for number, values in enumerate(zip(*columns.values(), strict=True), start=1)
        ]


@dataclass(frozen=True)
class ClassScore:
    """One class's result: number of truth boxes without crowds, AP over all IoUs and at IoU 0.5 and 0.75,
    AP of small, medium and large objects. NaN where the class has no truth."""

    name: str
    objects: int
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float


@dataclass(frozen=True)
class CocoScores:
    """The twelve COCO statistics (-1 where nothing can be measured), the summary text and the classes."""

    statistics: NDArray[np.float64]
    summary: str
    classes: tuple[ClassScore, ...]


def score_boxes(
    truth: BoxSet,
    predictions: BoxSet,
    image_count: int,
    class_names: Sequence[str],
    *,
    iou_thresholds: Sequence[float] | NDArray[np.float64],
    max_detections: Sequence[int],
) -> CocoScores:
    """Score predictions against truth with ``COCOeval`` on the same float64 boxes.

    Args:
        truth: Ground truth; image numbers lie in ``range(image_count)``.
        predictions: Predictions of the same images.
        image_count: Number of images evaluated, with or without boxes.
        class_names: Names by class index.
        iou_thresholds: Ascending.
        max_detections: Three limits per image.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    categories = [{"id": index + 1, "name": name} for index, name in enumerate(class_names)]
    images = [{"id": number} for number in range(image_count)]
    sides = []
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        for boxes in (truth, predictions):
            side = COCO()
            side.dataset = {
                "images": images,
                "categories": categories,
                "annotations": boxes.to_annotations(),
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "bbox")
        evaluation.params.imgIds = list(range(image_count))
        evaluation.params.catIds = [category["id"] for category in categories]
        evaluation.params.iouThrs = np.asarray(iou_thresholds, np.float64)
        evaluation.params.maxDets = list(max_detections)
        evaluation.evaluate()
        evaluation.accumulate()
        text.seek(0)
        text.truncate()
        evaluation.summarize()
    real = truth.labels if truth.iscrowd is None else truth.labels[~truth.iscrowd]
    objects = np.bincount(real, minlength=len(class_names))
    classes = tuple(
        _class_score(name, int(objects[index]), evaluation.eval["precision"][:, :, index], iou_thresholds)
        for index, name in enumerate(class_names)
    )
    return CocoScores(np.asarray(evaluation.stats), text.getvalue().rstrip(), classes)


def _class_score(
    name: str,
    objects: int,
    precision: NDArray[np.float64],
    iou_thresholds: Sequence[float] | NDArray[np.float64],
) -> ClassScore:
    """``precision`` has the axes (IoU, recall, area range, limit); -1 marks what cannot be measured."""
    thresholds = np.asarray(iou_thresholds)

    def at(iou: float) -> float:
        place = np.flatnonzero(np.isclose(thresholds, iou))
        return _mean(precision[place[:1], :, 0, -1])

    areas = [_mean(precision[:, :, area, -1]) for area in range(4)]
    return ClassScore(name, objects, areas[0], at(0.5), at(0.75), *areas[1:])


def _mean(values: NDArray[np.float64]) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else float("nan")
