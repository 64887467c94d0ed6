"""Recall of boxes whatever their class, as MMDetection's ``eval_recalls`` defines it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.instances import Instances, pair_blocks, spans
from deeplake_mmdet.evaluation.overlaps import box_overlaps

__all__ = ["box_recalls", "corners", "match_by_overlap"]


def box_recalls(
    truth: Instances,
    predictions: Instances,
    limits: Sequence[int],
    iou_thresholds: Sequence[float] | NDArray[np.float64],
    *,
    extra: float = 0.0,
) -> NDArray[np.float64]:
    """Share of the truth that is found, classes aside.

    On each image, the pair of box and prediction with the highest overlap is taken first, then the highest of
    those that are left, and so on. Only the best ``limit`` predictions of an image take part.

    Args:
        truth: Ordered by image; ignored objects do not take part.
        predictions: Ordered by image.
        limits: Numbers of predictions per image.
        iou_thresholds: In any order.
        extra: 1 for Pascal VOC's legacy convention, else 0.

    Returns:
        Shape (limits, thresholds); NaN if there is no truth.
    """
    wanted = truth.take(~truth.ignored())
    order = np.lexsort((-predictions.confidence(), predictions.images))
    found = predictions.take(order)
    _, counts = np.unique(found.images, return_counts=True)
    place = spans(counts)
    first, second, overlap = _overlapping(wanted, found, extra)
    recalls = np.full((len(limits), len(iou_thresholds)), np.nan)
    if not len(wanted):
        return recalls
    for row, limit in enumerate(limits):
        keep = place[second] < limit
        chosen = match_by_overlap(first[keep], second[keep], overlap[keep])
        best = overlap[keep][chosen]
        recalls[row] = [np.count_nonzero(best >= threshold) / len(wanted) for threshold in iou_thresholds]
    return recalls


def _overlapping(
    wanted: Instances, found: Instances, extra: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pairs that overlap, and how much."""
    own, other = corners(wanted), corners(found)
    first: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    second: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    values: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    for pairs in pair_blocks(wanted.images, found.images):
        overlap = box_overlaps(own[pairs.first], other[pairs.second], extra)
        keep = overlap > 0
        first.append(pairs.first[keep])
        second.append(pairs.second[keep])
        values.append(overlap[keep])
    return np.concatenate(first), np.concatenate(second), np.concatenate(values)


def match_by_overlap(
    first: NDArray[np.int64], second: NDArray[np.int64], overlap: NDArray[np.floating]
) -> NDArray[np.int64]:
    """One-to-one matching that takes the highest overlaps first; equal ones by ``first``, then ``second``.

    Args:
        first: One side of each pair, shape (p,).
        second: The other side, shape (p,).
        overlap: Shape (p,).

    Returns:
        Places of the pairs that are matched.
    """
    order = np.lexsort((second, first, -overlap))
    chosen: list[NDArray[np.int64]] = []
    while len(order):
        # A pair that is the best left for both of its sides cannot lose to any other.
        best = np.zeros(len(order), bool)
        best[np.unique(first[order], return_index=True)[1]] = True
        both = np.zeros(len(order), bool)
        both[np.unique(second[order], return_index=True)[1]] = True
        best &= both
        taken = order[best]
        chosen.append(taken)
        gone = np.isin(first[order], first[taken]) | np.isin(second[order], second[taken])
        order = order[~gone]
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def corners(objects: Instances) -> NDArray[np.float32]:
    """(left, top, right, bottom), shape (n, 4), float32 as MMDetection has them."""
    boxes = objects.xywh
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32)
