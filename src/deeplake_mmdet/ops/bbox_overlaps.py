"""Overlaps of boxes as mmcv's compiled op counts them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bbox_overlaps"]


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Write overlaps into ``ious``.

    Args:
        bboxes1: Shape (M, 4), corners x1, y1, x2, y2 in pixels.
        bboxes2: Shape (N, 4).
        ious: Shape (M, N), or (M,) if ``aligned``; overwritten.
        mode: 0 for the intersection over the union, 1 over the area of the first box.
        aligned: Compare each box with the one at its own place; then M = N.
        offset: Added to each width and height: 0 for continuous coordinates, 1 for inclusive pixels.
    """
    first, second = (bboxes1, bboxes2) if aligned else (bboxes1[:, None], bboxes2[None])
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    inter = (high - low + offset).clamp(min=0).prod(-1)
    area = (first[..., 2:] - first[..., :2] + offset).prod(-1)
    if mode == 0:
        area = area + (second[..., 2:] - second[..., :2] + offset).prod(-1) - inter
    ious.copy_(inter / area)
