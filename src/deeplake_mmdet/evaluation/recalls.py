"""Recall of boxes whatever their class, as MMDetection's ``eval_recalls`` defines it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["box_recalls", "corners"]


def box_recalls(
    truth: Instances,
    predictions: Instances,
    limits: Sequence[int],
    iou_thresholds: Sequence[float] | NDArray[np.float64],
    *,
    legacy: bool = False,
) -> NDArray[np.float64]:
    """Share of the truth that is found, classes aside.

    On each image, the pair of box and prediction with the highest overlap is taken first, then the highest of
    those that are left, and so on. Only the best ``limit`` predictions of an image take part.
    ``eval_recalls`` itself fails on NumPy 2 with images of several numbers of boxes; called image by image it
    takes twice as long as this, for tables that nobody sees.

    Args:
        truth: Ordered by image; ignored objects do not take part.
        predictions: Ordered by image.
        limits: Numbers of predictions per image, in any order.
        iou_thresholds: In any order.
        legacy: A box from 3 to 5 is 3 pixels wide (Pascal VOC's integer pixels), not 2.

    Returns:
        Shape (limits, thresholds); NaN if there is no truth.
    """
    from mmdet.evaluation.functional import bbox_overlaps

    wanted = truth.take(~truth.ignored())
    found = predictions.take(np.lexsort((-predictions.confidence(), predictions.images)))
    best = np.zeros((len(limits), len(wanted)), np.float32)
    own, other = corners(wanted), corners(found)
    for image in np.intersect1d(wanted.images, found.images).tolist():
        here, there = (slice(*np.searchsorted(side.images, [image, image + 1])) for side in (wanted, found))
        overlaps = bbox_overlaps(own[here], other[there], use_legacy_coordinate=legacy)
        done: dict[int, NDArray[np.float32]] = {}
        for row, limit in enumerate(limits):
            few = min(limit, overlaps.shape[1])
            if few not in done:
                done[few] = _highest_first(overlaps[:, :few].copy())
            best[row, here] = done[few]
    if not len(wanted):
        return np.full((len(limits), len(iou_thresholds)), np.nan)
    thresholds = np.asarray(iou_thresholds, np.float64)  # compared in float64, as MMDetection does
    return np.stack([(best >= threshold).mean(axis=1) for threshold in thresholds], axis=1)


def _highest_first(overlaps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The overlap with which each box is found, shape (boxes,), in any order; overwrites ``overlaps``."""
    found = np.zeros(len(overlaps), np.float32)
    for turn in range(min(overlaps.shape)):
        row, column = divmod(int(overlaps.argmax()), overlaps.shape[1])
        found[turn] = overlaps[row, column]
        overlaps[row], overlaps[:, column] = -1, -1
    return found


def corners(objects: Instances) -> NDArray[np.float32]:
    """(left, top, right, bottom), shape (n, 4), float32 as MMDetection has them.

    Args:
        objects: Objects with boxes in COCO's form.
    """
    boxes = objects.xywh
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32)
