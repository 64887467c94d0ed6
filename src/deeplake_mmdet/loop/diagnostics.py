"""What a run's predictions say of each row that has truth, by one formula each.

Predictions and objects are matched by hotcoco as COCO does: at IoU 0.5, within a class, best score first;
crowds and ``difficult`` objects count neither as found nor as missed. But for AP, only predictions of the
run's score threshold or more take part.

- ``tp``, ``fp``, ``missed``: found objects, predictions that found none, objects that nothing found.
- ``confused``: of ``fp``, those that overlap an object of another class by 0.5 or more, and no object of
  their own class by as much.
- ``localisation``: of ``fp``, those whose best overlap with an object of their class is 0.1 or more and below
  0.5.
- ``ap50``: AP at IoU 0.5 of this image alone, over the classes it has (hotcoco's); -1 without objects.
- ``lowest_score``: the lowest score that takes part; 1 if none does.
- ``disagreement``: 1 - 2 M / (T + S), M the sum of score times IoU over found objects, T the number of
  objects that count, S the sum of scores; 0 if there are neither. From 0, all agrees, to 1, nothing does.
- ``label_error``: the highest suspicion of `suspects_of` about the row; 0 without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.analysis import matches_of
from deeplake_mmdet.evaluation.engine import AREA_RANGES, Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.runs.suspects import IOU, NEAR, Pairs, suspects_of

__all__ = ["NUMBERS", "diagnose", "predictions_of"]

NUMBERS = {
    "tp": np.int32,
    "fp": np.int32,
    "missed": np.int32,
    "confused": np.int32,
    "localisation": np.int32,
    "ap50": np.float32,
    "lowest_score": np.float32,
    "disagreement": np.float32,
    "label_error": np.float32,
}
_NO_LIMIT = 2**31 - 1
_NO_SCORE = 2.0


def predictions_of(boxes: Sequence[Any], labels: Sequence[Any], scores: Sequence[Any]) -> Instances:
    """Predictions on some images as they are kept, as flat arrays.

    Args:
        boxes: Of each image, shape (n, 4): left, top, right, bottom in pixels.
        labels: Of each image, shape (n,).
        scores: Of each image, shape (n,).
    """
    counts = [np.size(one) for one in scores]
    xywh = np.concatenate([np.reshape(one, (-1, 4)) for one in (np.zeros((0, 4)), *boxes)]).astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    flat = (np.concatenate([np.reshape(one, -1) for one in ((), *some)]) for some in (labels, scores))
    label, score = flat
    return Instances(
        np.repeat(np.arange(len(counts)), counts),
        label.astype(np.int64),
        xywh,
        np.ones(len(xywh)),
        score.astype(np.float64),
    )


def diagnose(
    truth: Instances, predictions: Instances, class_count: int, image_count: int, score_thr: float
) -> dict[str, NDArray[Any]]:
    """The numbers of some images.

    Args:
        truth: Ordered by image, labels below ``class_count``.
        predictions: Ordered by image.
        class_count: Number of classes.
        image_count: Number of images.
        score_thr: From which predictions take part.

    Returns:
        Arrays of shape (images,) by the names of `NUMBERS`; see the head of this module.
    """
    certain = predictions.take(predictions.confidence() >= score_thr)
    settings = Settings(np.array([IOU]), (_NO_LIMIT,), False, True, AREA_RANGES[:1])
    matches = matches_of(evaluator(truth, certain, class_count, image_count, settings), IOU, truth, certain)
    whole = evaluator(truth, predictions, class_count, image_count, settings)
    told = whole.image_diagnostics(IOU, _NO_SCORE)["img_summary"]
    counted = ~truth.ignored()
    objects = _count(truth.images[counted], image_count)
    found = matches.target >= 0
    wrong = ~found & ~matches.left_out
    pairs = Pairs(truth, certain)
    own, other = pairs.best(certain, truth, same=True), pairs.best(certain, truth, same=False)
    agreed = np.zeros(image_count)
    ious = pairs.of(np.flatnonzero(found), matches.target[found])
    np.add.at(agreed, certain.images[found], certain.confidence()[found] * ious)
    weights = objects + np.bincount(certain.images, certain.confidence(), minlength=image_count)
    lowest = np.ones(image_count)
    np.minimum.at(lowest, certain.images, certain.confidence())
    suspicion = np.zeros(image_count)
    suspected = suspects_of(truth, predictions, score_thr)
    np.maximum.at(suspicion, suspected.images, suspected.suspicions)
    numbers: dict[str, NDArray[Any]] = {
        "tp": _count(certain.images[found], image_count),
        "fp": _count(certain.images[wrong], image_count),
        "missed": _count(truth.images[matches.missed], image_count),
        "confused": _count(certain.images[wrong & (other >= IOU) & (own < IOU)], image_count),
        "localisation": _count(certain.images[wrong & (own >= NEAR) & (own < IOU)], image_count),
        "ap50": np.array([told.get(image, {}).get("ap", -1) for image in range(image_count)]),
        "lowest_score": lowest,
        "disagreement": np.where(weights > 0, 1 - 2 * agreed / np.maximum(weights, 1e-12), 0),
        "label_error": suspicion,
    }
    numbers["ap50"] = np.where(objects > 0, numbers["ap50"], -1)
    return {name: numbers[name].astype(kind) for name, kind in NUMBERS.items()}


def _count(images: NDArray[np.int64], image_count: int) -> NDArray[np.int64]:
    return np.bincount(images, minlength=image_count)
