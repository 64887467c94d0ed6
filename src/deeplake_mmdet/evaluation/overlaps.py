"""Overlap of boxes and masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["box_overlaps", "coco_overlaps", "mask_overlaps"]


def coco_overlaps(
    predictions: NDArray[np.float64], truth: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """COCO's overlap of pairs of boxes: intersection over union, or over the prediction for crowds.

    The operations and their order are those of the reference (cocoapi, ``bbIou``), so that thresholds fall
    the same way to the last bit.

    Args:
        predictions: (left, top, width, height), shape (p, 4).
        truth: The same, shape (p, 4).
        crowd: Shape (p,).

    Returns:
        Shape (p,), float64; 0 where boxes do not meet.
    """
    x, y, w, h = predictions.T
    gx, gy, gw, gh = truth.T
    wide = np.minimum(w + x, gw + gx) - np.maximum(x, gx)
    high = np.minimum(h + y, gh + gy) - np.maximum(y, gy)
    both = wide * high
    own = w * h
    union = np.where(crowd, own, own + gw * gh - both)
    meet = (wide > 0) & (high > 0)
    overlap: NDArray[np.float64] = np.divide(both, union, out=np.zeros(len(both)), where=meet)
    return overlap


def mask_overlaps(
    predictions: Instances, truth: Instances, own: list[int], other: list[int]
) -> list[list[float]]:
    """COCO's overlap of every mask in ``own`` with every mask in ``other``, as rows of a matrix."""
    from pycocotools import mask

    crowd = truth.crowds()[other].astype(np.uint8).tolist()
    found: list[list[float]] = mask.iou(predictions.rles(own), truth.rles(other), crowd).tolist()
    return found


def box_overlaps(
    first: NDArray[np.float32], second: NDArray[np.float32], extra: float
) -> NDArray[np.float32]:
    """Intersection over union of pairs of corner boxes, in float32 as MMDetection's ``bbox_overlaps``.

    Args:
        first: (left, top, right, bottom), shape (p, 4), float32.
        second: The same.
        extra: 1 for Pascal VOC's convention that a box from 3 to 5 covers 3 pixels, else 0.
    """
    more = np.float32(extra)
    left_top = np.maximum(first[:, :2], second[:, :2])
    right_bottom = np.minimum(first[:, 2:], second[:, 2:])
    shared = np.maximum(right_bottom - left_top + more, np.float32(0))
    both = shared[:, 0] * shared[:, 1]
    size = first[:, 2:] - first[:, :2] + more
    other = second[:, 2:] - second[:, :2] + more
    union = np.maximum(size[:, 0] * size[:, 1] + other[:, 0] * other[:, 1] - both, np.float32(1e-6))
    found: NDArray[np.float32] = both / union
    return found
