"""Labels that predictions speak against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.instances import Instances, pair_up
from deeplake_mmdet.ops.nms import nms

__all__ = ["IOU", "NEAR", "Pairs", "Suspect", "Suspects", "suspects_of"]

IOU, NEAR, _APART = 0.5, 0.1, 0.3
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
    pairs = Pairs(truth, predictions)
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
    nearest = (pairs.ious >= NEAR) & (pairs.ious >= own[at]) & (anything[at] < IOU)
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


class Pairs:
    """All pairs of a prediction and an object of one image, with the IoU of their boxes.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.

    Attributes:
        predictions: Place of each pair's prediction, ascending, shape (p,).
        truths: Place of its object, shape (p,).
        ious: Shape (p,).
    """

    def __init__(self, truth: Instances, predictions: Instances) -> None:
        self.predictions, self.truths = pair_up(predictions.images, truth.images)
        self.ious = _ious(predictions.xywh[self.predictions], truth.xywh[self.truths])
        self._count = len(truth)

    def best(self, predictions: Instances, truth: Instances, *, same: bool | None) -> NDArray[np.float64]:
        """Each prediction's best overlap, shape (n predictions,); 0 where there is none.

        Args:
            predictions: Those that the pairs were made of.
            truth: The objects that the pairs were made of.
            same: With objects of its class (True), of other classes (False), or of any (None).
        """
        chosen = np.ones(len(self.ious), bool)
        if same is not None:
            chosen = (predictions.labels[self.predictions] == truth.labels[self.truths]) == same
        best = np.zeros(len(predictions))
        np.maximum.at(best, self.predictions[chosen], self.ious[chosen])
        return best

    def of(self, predictions: NDArray[np.int64], truths: NDArray[np.int64]) -> NDArray[np.float64]:
        """The IoU of pairs of one image each, shape (k,).

        Args:
            predictions: Places, shape (k,).
            truths: Places, shape (k,).
        """
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
