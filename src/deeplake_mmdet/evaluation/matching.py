"""Which prediction found which object at one IoU threshold, by COCO's rules, for all images at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.instances import Instances, pair_blocks, spans
from deeplake_mmdet.evaluation.overlaps import coco_overlaps, mask_overlaps

__all__ = ["Matches", "Overlaps", "match", "overlaps_of"]


@dataclass(frozen=True)
class Overlaps:
    """Overlapping predictions and objects, whatever their classes, ordered by prediction, then object.

    Attributes:
        found: Place of the prediction, shape (p,).
        wanted: Place of the object, shape (p,).
        iou: COCO's overlap, above 0, shape (p,).
    """

    found: NDArray[np.int64]
    wanted: NDArray[np.int64]
    iou: NDArray[np.float64]

    def where(self, keep: NDArray[np.bool_]) -> Overlaps:
        """Some of them."""
        return Overlaps(self.found[keep], self.wanted[keep], self.iou[keep])


@dataclass(frozen=True)
class Matches:
    """The outcome.

    Attributes:
        target: The object that each prediction found, shape (n predictions,); -1 where none.
        true: Predictions that found an object that counts, shape (n predictions,).
        left_out: Predictions that found an ignored object, shape (n predictions,).
    """

    target: NDArray[np.int64]
    true: NDArray[np.bool_]
    left_out: NDArray[np.bool_]


def overlaps_of(truth: Instances, predictions: Instances, *, by_mask: bool = False) -> Overlaps:
    """All overlaps of predictions with objects of the same image."""
    parts = list(_mask_parts(truth, predictions) if by_mask else _box_parts(truth, predictions))
    none = Overlaps(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    found, wanted, values = zip(*((one.found, one.wanted, one.iou) for one in (none, *parts)), strict=True)
    return Overlaps(np.concatenate(found), np.concatenate(wanted), np.concatenate(values))


def match(truth: Instances, predictions: Instances, overlaps: Overlaps, threshold: float) -> Matches:
    """Match within classes: predictions by falling score, each to the free object that it overlaps most.

    As in COCOeval (``evaluateImg``): objects that count go before ignored ones, the later of two equal
    overlaps wins, and only crowds can be found more than once.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        overlaps: Of the two.
        threshold: IoU from which an object counts as found.
    """
    ignored, crowd = truth.ignored(), truth.crowds()
    same = predictions.labels[overlaps.found] == truth.labels[overlaps.wanted]
    near = overlaps.where(same & (overlaps.iou >= min(threshold, 1 - 1e-10)))
    target = np.full(len(predictions), -1)
    # Predictions of one image and class follow each other; the k-th of all of them are matched in one go.
    involved = np.unique(near.found)
    groups = predictions.images[involved] * (int(predictions.labels.max(initial=0)) + 1)
    groups = groups + predictions.labels[involved]
    order = np.lexsort((involved, -predictions.confidence()[involved], groups))
    _, counts = np.unique(groups, return_counts=True)
    turn = np.zeros(len(predictions), np.int64)
    turn[involved[order]] = spans(counts)
    best_first = np.lexsort((-near.wanted, -near.iou, ignored[near.wanted], near.found, turn[near.found]))
    near = Overlaps(near.found[best_first], near.wanted[best_first], near.iou[best_first])
    bounds = np.searchsorted(turn[near.found], np.arange(int(turn.max(initial=0)) + 2))
    taken = np.zeros(len(truth), bool)
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        found, wanted = near.found[start:end], near.wanted[start:end]
        free = ~taken[wanted] | crowd[wanted]
        found, wanted = found[free], wanted[free]
        first = np.unique(found, return_index=True)[1]
        target[found[first]] = wanted[first]
        taken[wanted[first]] = True
    hit = target >= 0
    on_ignored = np.zeros(len(predictions), bool)
    on_ignored[hit] = ignored[target[hit]]
    return Matches(target, hit & ~on_ignored, on_ignored)


def _box_parts(truth: Instances, predictions: Instances) -> Iterator[Overlaps]:
    crowds = truth.crowds()
    for pairs in pair_blocks(predictions.images, truth.images):
        iou = coco_overlaps(predictions.xywh[pairs.first], truth.xywh[pairs.second], crowds[pairs.second])
        yield Overlaps(pairs.first, pairs.second, iou).where(iou > 0)


def _mask_parts(truth: Instances, predictions: Instances) -> Iterator[Overlaps]:
    """Image by image: most pairs of masks do not meet, and need not be kept."""
    for image in np.intersect1d(predictions.images, truth.images).tolist():
        own, wanted = (
            range(*np.searchsorted(side.images, [image, image + 1]).tolist()) for side in (predictions, truth)
        )
        values = np.array(mask_overlaps(predictions, truth, list(own), list(wanted)))
        first, second = np.nonzero(values)
        yield Overlaps(own.start + first, wanted.start + second, values[first, second])
