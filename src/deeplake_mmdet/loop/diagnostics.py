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
- ``label_error``: the highest suspicion of `suspects` about the row; 0 without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.analysis import matches_of
from deeplake_mmdet.evaluation.engine import AREA_RANGES, Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances, pair_up
from deeplake_mmdet.ops.nms import nms

__all__ = ["IOU", "NUMBERS", "Suspect", "Suspects", "diagnose", "predictions_of", "suspects_of"]

IOU, _NEAR, _APART = 0.5, 0.1, 0.3
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
_DOUBT = 0.02  # keeps low scores from being sure of themselves


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong.

    Attributes:
        image: Number of the image.
        kind: ``'class'``: the predicted class is another; ``'missing'``: there is no object where one was
            predicted; ``'place'``: the object's box lies beside the prediction.
        suspicion: See `suspects_of`.
        truth: Place of the object among those of all images; -1 for a missing one.
        prediction: Place of the prediction.
    """

    image: int
    kind: str
    suspicion: float
    truth: int
    prediction: int


@dataclass(frozen=True)
class Suspects:
    """Labels that may be wrong, as arrays of one entry each: see `Suspect`."""

    images: NDArray[np.int64]
    kinds: NDArray[np.str_]
    suspicions: NDArray[np.float64]
    truths: NDArray[np.int64]
    predictions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def at(self, place: int) -> Suspect:
        """One of them.

        Args:
            place: Its place.
        """
        arrays = (self.images, self.kinds, self.suspicions, self.truths, self.predictions)
        return Suspect(*(array[place].item() for array in arrays))


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
    pairs = _Pairs(truth, certain)
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
        "localisation": _count(certain.images[wrong & (own >= _NEAR) & (own < IOU)], image_count),
        "ap50": np.array([told.get(image, {}).get("ap", -1) for image in range(image_count)]),
        "lowest_score": lowest,
        "disagreement": np.where(weights > 0, 1 - 2 * agreed / np.maximum(weights, 1e-12), 0),
        "label_error": suspicion,
    }
    numbers["ap50"] = np.where(objects > 0, numbers["ap50"], -1)
    return {name: numbers[name].astype(kind) for name, kind in NUMBERS.items()}


def suspects_of(truth: Instances, predictions: Instances, score_thr: float) -> Suspects:
    """Labels that predictions speak against.

    The support b of an object is the best score of a prediction of its class that overlaps it by 0.5 or more.

    - class: a prediction of another class, of score s above b, overlaps the object by 0.5 or more, and no
      object of its own class by as much; s / (s + b + 0.02), for that there is an object is sure;
    - missing: a prediction overlaps no object by 0.5 or more; s / (s + m), m the median support of its
      image's objects that have one of ``score_thr`` or more (1 without any), as some images are harder;
    - place: a prediction overlaps an object of its class by 0.1 or more, and nothing by 0.5; s - b for the
      object of its class that it overlaps most.

    Each prediction speaks against one label at most (of a place rather than of a missing object, if nothing
    else supports that label), of several against the same label the strongest is taken, and of missing
    objects that overlap by 0.3 the best. Crowds and ignored objects are not suspected, and where they are
    nothing is missing.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image, with those of low scores.
        score_thr: From which a prediction speaks of missing objects and places.
    """
    pairs = _Pairs(truth, predictions)
    scores = predictions.confidence()
    certain = scores >= score_thr
    own = pairs.best(predictions, truth, same=True)
    anything = pairs.best(predictions, truth, same=None)
    same = predictions.labels[pairs.predictions] == truth.labels[pairs.truths]
    support = np.zeros(len(truth))
    near = same & (pairs.ious >= IOU)
    np.maximum.at(support, pairs.truths[near], scores[pairs.predictions[near]])
    at, of = pairs.predictions, pairs.truths
    fits, free = ~truth.ignored()[of], own[at] < IOU
    swapped = fits & free & ~same & (pairs.ious >= IOU) & (scores[at] > support[of])
    nearest = (pairs.ious >= _NEAR) & (pairs.ious >= own[at]) & (anything[at] < IOU)
    moved = fits & same & nearest & certain[at]
    lonely = (anything < IOU) & certain
    lonely[at[moved & (support[of] < score_thr)]] = False
    alone = _apart(predictions, np.flatnonzero(lonely))
    sure, lone = scores[at[swapped]], scores[alone]
    usual = _usual(support, truth.images, int(predictions.images.max(initial=-1)) + 1, score_thr)
    parts = [
        ("class", of[swapped], at[swapped], sure / (sure + support[of[swapped]] + _DOUBT)),
        ("place", of[moved], at[moved], scores[at[moved]] - support[of[moved]]),
        ("missing", np.full(len(alone), -1), alone, lone / (lone + usual[predictions.images[alone]])),
    ]
    found = Suspects(
        predictions.images[np.concatenate([part[2] for part in parts])],
        np.concatenate([np.full(len(part[1]), part[0], "U7") for part in parts]),
        np.concatenate([part[3] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )
    return _strongest(found)


def _usual(
    support: NDArray[np.float64], images: NDArray[np.int64], image_count: int, score_thr: float
) -> NDArray[np.float64]:
    """How sure a model is of what it finds in each image: m of `suspects_of`, shape (images,)."""
    found = (support >= score_thr) & (support > 0) & (images < image_count)
    values = support[found][np.lexsort((support[found], images[found]))]
    counts = np.bincount(images[found], minlength=image_count)
    some, firsts = counts > 0, np.cumsum(counts) - counts
    usual = np.ones(image_count)
    usual[some] = sum(values[(firsts + (counts - odd) // 2)[some]] for odd in (0, 1)) / 2
    return usual


def _apart(predictions: Instances, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some predictions that overlap no better one in their image by 0.3."""
    corners = predictions.xywh[chosen].copy()
    corners[:, 2:] += corners[:, :2]
    reach = float(np.abs(corners).max(initial=0)) * 2 + 1
    corners += (predictions.images[chosen] * reach)[:, None]  # images lie apart
    best = nms(torch.from_numpy(corners), torch.from_numpy(predictions.confidence()[chosen]), _APART)
    kept: NDArray[np.int64] = chosen[np.sort(best.numpy())]
    return kept


def _strongest(found: Suspects) -> Suspects:
    """Positive suspicions, the strongest first; each prediction once, and each object once."""
    order = np.lexsort((found.predictions, -found.suspicions))
    order = order[found.suspicions[order] > 0]
    _, first = np.unique(found.predictions[order], return_index=True)
    order = order[np.sort(first)]
    labels = np.where(found.truths[order] < 0, -1 - found.predictions[order], found.truths[order])
    _, first = np.unique(labels, return_index=True)
    order = order[np.sort(first)]
    arrays = (found.images, found.kinds, found.suspicions, found.truths, found.predictions)
    return Suspects(*(array[order] for array in arrays))


class _Pairs:
    """All pairs of a prediction and an object of one image, with their IoU."""

    def __init__(self, truth: Instances, predictions: Instances) -> None:
        self.predictions, self.truths = pair_up(predictions.images, truth.images)
        self.ious = _ious(predictions.xywh[self.predictions], truth.xywh[self.truths])
        self._count = len(truth)

    def best(self, predictions: Instances, truth: Instances, *, same: bool | None) -> NDArray[np.float64]:
        """Each prediction's best overlap with objects of its class, of others, or (None) of any."""
        chosen = np.ones(len(self.ious), bool)
        if same is not None:
            chosen = (predictions.labels[self.predictions] == truth.labels[self.truths]) == same
        best = np.zeros(len(predictions))
        np.maximum.at(best, self.predictions[chosen], self.ious[chosen])
        return best

    def of(self, predictions: NDArray[np.int64], truths: NDArray[np.int64]) -> NDArray[np.float64]:
        """The IoU of given pairs."""
        keys = self.predictions * max(self._count, 1) + self.truths  # ascending
        found: NDArray[np.float64] = self.ious[
            np.searchsorted(keys, predictions * max(self._count, 1) + truths)
        ]
        return found


def _ious(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    inter = (high - low).clip(min=0).prod(1)
    union = first[:, 2:].prod(1) + second[:, 2:].prod(1) - inter
    found: NDArray[np.float64] = np.divide(inter, union, out=np.zeros(len(inter)), where=union > 0)
    return found


def _count(images: NDArray[np.int64], image_count: int) -> NDArray[np.int64]:
    return np.bincount(images, minlength=image_count)
