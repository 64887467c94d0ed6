"""Recall of boxes whatever their class, by MMDetection's ``eval_recalls``."""

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
    those that are left, and so on. Only the best ``limit`` predictions of an image take part. MMDetection's
    function is called image by image: with several at once it fails on NumPy 2.

    Args:
        truth: Ordered by image; ignored objects do not take part.
        predictions: Ordered by image.
        limits: Numbers of predictions per image, in any order.
        iou_thresholds: In any order.
        legacy: A box from 3 to 5 is 3 pixels wide (Pascal VOC's integer pixels), not 2.

    Returns:
        Shape (limits, thresholds); NaN if there is no truth.
    """
    from mmdet.evaluation.functional import eval_recalls

    wanted = truth.take(~truth.ignored())
    found = predictions.take(np.lexsort((-predictions.confidence(), predictions.images)))
    ascending, back = np.unique(limits, return_inverse=True)
    thresholds, total = (
        np.asarray(iou_thresholds, np.float64),
        np.zeros((len(ascending), len(iou_thresholds))),
    )
    if not len(wanted):
        return np.full((len(limits), len(thresholds)), np.nan)
    own, other = corners(wanted), corners(found)
    for image in np.intersect1d(wanted.images, found.images).tolist():
        truths, boxes = (
            all_[slice(*np.searchsorted(side.images, [image, image + 1]))]
            for side, all_ in ((wanted, own), (found, other))
        )
        shares = eval_recalls([truths], [boxes], ascending, thresholds, "silent", legacy)
        total += np.rint(shares * len(truths))
    recalls: NDArray[np.float64] = (total / len(wanted))[back]
    return recalls


def corners(objects: Instances) -> NDArray[np.float32]:
    """(left, top, right, bottom), shape (n, 4), float32 as MMDetection has them."""
    boxes = objects.xywh
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32)
