"""How each object of an image and each prediction on it was judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.report.judging import IOU, judge

__all__ = ["judged"]

_AT_ONCE = 256  # predictions that are compared with all objects


def judged(
    truth_boxes: NDArray[np.float64],
    truth_labels: NDArray[np.int64],
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    *,
    aside: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    min_score: float,
) -> tuple[list[str], list[str]]:
    """Match predictions with objects as `judge` does, and tell the confused ones among the false.

    Args:
        truth_boxes: (left, top, right, bottom) in pixels, shape (n, 4).
        truth_labels: Shape (n,).
        boxes: Predicted, shape (m, 4).
        labels: Shape (m,).
        scores: Shape (m,).
        aside: Objects that need not be found, shape (n,).
        crowd: Those that take any number of predictions, shape (n,).
        min_score: Predictions of lower scores take no part.

    Returns:
        For each object ``'missed'``, ``'ignored'`` or ``'found'``; for each prediction ``'false'``,
        ``'confused'`` (it overlaps an object of another class by 0.5 or more, and none of its own by as
        much), ``'ignored'`` or ``'true'``.
    """
    objects, found = judge(
        truth_boxes, truth_labels, boxes, labels, scores,
        ignored=aside, crowd=crowd, min_score=min_score, iou=IOU,
    )  # fmt: skip
    confused = np.zeros(len(found), bool)
    wrong = np.flatnonzero([kind == "false" for kind in found])
    for start in range(0, len(wrong), _AT_ONCE):
        some = wrong[start : start + _AT_ONCE]
        overlaps = _ious(boxes[some], truth_boxes) >= IOU
        same = labels[some, None] == truth_labels[None]
        confused[some] = (overlaps & ~same).any(1) & ~(overlaps & same).any(1)
    return (
        [kind or "found" for kind in objects],
        ["confused" if confused[place] else kind or "true" for place, kind in enumerate(found)],
    )


def _ious(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inter = (high - low).clip(min=0).prod(2)
    areas = [(part[:, 2:] - part[:, :2]).clip(min=0).prod(1) for part in (first, second)]
    union = areas[0][:, None] + areas[1][None] - inter
    found: NDArray[np.float64] = np.divide(inter, union, out=np.zeros(inter.shape), where=union > 0)
    return found
