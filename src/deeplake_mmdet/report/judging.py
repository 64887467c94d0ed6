"""Which objects of one image were found, and which predictions are right: for pictures, by COCO's rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["IOU", "judge"]

IOU = 0.5


def judge(
    truth_boxes: ArrayLike,
    truth_labels: ArrayLike,
    boxes: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    ignored: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    min_score: float = 0.0,
    iou: float = IOU,
) -> tuple[list[str], list[str]]:
    """Match predictions with the objects of their class: the surest first, each takes the best that is free.

    Args:
        truth_boxes: (left, top, right, bottom) in pixels, shape (n, 4).
        truth_labels: Shape (n,).
        boxes: Predicted, shape (m, 4).
        labels: Shape (m,).
        scores: Shape (m,).
        ignored: Objects that need not be found, shape (n,), bool; None for none.
        crowd: Of these, those that take any number of predictions, and of which overlap is measured against
            the prediction alone, shape (n,), bool; None for none.
        min_score: Predictions of lower scores take no part.
        iou: Overlap from which an object counts as found.

    Returns:
        A kind of `annotate.KINDS` for each object, ``'missed'``, ``'ignored'`` or ``''``;
        for each prediction: ``'false'``, ``'ignored'`` (it found an ignored object, or takes no part) or
        ``''``.
    """
    corners, found = (np.asarray(part, np.float64).reshape(-1, 4) for part in (truth_boxes, boxes))
    own, given = (np.asarray(part, np.int64).reshape(-1) for part in (truth_labels, labels))
    sure = np.asarray(scores, np.float64).reshape(-1)
    many = np.zeros(len(own), bool) if crowd is None else np.asarray(crowd, bool).reshape(-1)
    aside = many if ignored is None else many | np.asarray(ignored, bool).reshape(-1)
    taken = np.zeros(len(own), bool)
    kinds = ["ignored"] * len(given)
    order = np.argsort(-sure, kind="stable")
    for place in order[sure[order] >= min_score].tolist():
        near = np.flatnonzero((own == given[place]) & (~taken | many))
        overlaps = _overlaps(found[place], corners[near], many[near])
        near, overlaps = near[overlaps >= min(iou, 1 - 1e-10)], overlaps[overlaps >= min(iou, 1 - 1e-10)]
        if not len(near):
            kinds[place] = "false"
            continue
        best = near[np.lexsort((-overlaps, aside[near]))[0]]  # one that counts rather than one that does not
        taken[best] = True
        kinds[place] = "ignored" if aside[best] else ""
    return ["ignored" if aside[n] else "" if taken[n] else "missed" for n in range(len(own))], kinds


def _overlaps(
    box: NDArray[np.float64], others: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    inter = sides.clip(min=0).prod(axis=1)
    area = (box[2:] - box[:2]).clip(min=0).prod()
    union = np.where(crowd, area, area + (others[:, 2:] - others[:, :2]).clip(min=0).prod(axis=1) - inter)
    shares: NDArray[np.float64] = np.divide(inter, union, out=np.zeros(len(others)), where=union > 0)
    return shares
