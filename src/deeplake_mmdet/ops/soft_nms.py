"""Soft non-maximum suppression and the groups of ``nms_match``, with the choices of mmcv's compiled ops.

Both go box by box, each step over all that are left as one array, in float32 as the compiled ops compute.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["nms_match", "softnms"]

_NAIVE, _LINEAR, _GAUSSIAN = range(3)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that overlap one of a higher score, and drop those that fall below a limit.

    Bodla et al., "Soft-NMS: Improving Object Detection With One Line of Code", ICCV 2017.

    Args:
        boxes: Shape (N, 4), corners x1, y1, x2, y2 in pixels, on the CPU.
        scores: Shape (N,); not changed.
        dets: Shape (N, 5); its first rows are overwritten with the boxes that are kept and their new scores.
        iou_threshold: From this IoU on methods 0 and 1 act.
        sigma: Of method 2.
        min_score: A box whose score falls below it is dropped.
        method: 0 drops, 1 multiplies by 1 - IoU, 2 by exp(-IoU^2 / sigma).
        offset: Added to each width and height: 0 for continuous coordinates, 1 for inclusive pixels.

    Returns:
        Indices of the kept boxes, int64, in the order of ``dets``.
    """
    table = np.concatenate([boxes.detach().numpy(), scores.detach().numpy()[:, None]], 1).astype(np.float32)
    sizes = table[:, 2:4] - table[:, :2] + np.float32(offset)
    areas, order = sizes[:, 0] * sizes[:, 1], np.arange(len(table))
    done = 0
    while done < len(order):
        best = done + int(table[order[done:], 4].argmax())
        order[done], order[best] = order[best], order[done]
        first, rest = order[done], order[done + 1 :]
        done += 1
        overlap = _overlaps(table, areas, first, rest, np.float32(offset))
        if method == _GAUSSIAN:
            weight = np.exp(-(overlap * overlap) / np.float32(sigma))
        else:
            lowered = np.float32(1) - overlap if method == _LINEAR else np.float32(0)
            weight = np.where(overlap >= np.float32(iou_threshold), lowered, np.float32(1))
        table[rest, 4] *= weight
        order = np.concatenate([order[:done], _closed_up(rest, table[rest, 4] < np.float32(min_score))])
    dets[: len(order)] = torch.from_numpy(table[order]).to(dets.dtype)
    return torch.from_numpy(order)


def _closed_up(rest: NDArray[np.int64], dropped: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What is left; each gap is filled by the last one, which decides about equal scores later on."""
    count = len(rest) - int(dropped.sum())
    filled = rest[:count].copy()
    filled[dropped[:count]] = rest[count:][~dropped[count:]][::-1]
    return filled


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group boxes around those that non-maximum suppression keeps.

    Args:
        dets: Shape (N, 5): corners x1, y1, x2, y2 in pixels, and the score.
        iou_threshold: From this IoU on a box belongs to one of a higher score.

    Returns:
        For each kept box, the highest score first: its index, then those of the boxes that it suppresses, by
        falling score.
    """
    table = dets.detach().cpu().numpy().astype(np.float32)
    areas = (table[:, 2] - table[:, 0]) * (table[:, 3] - table[:, 1])
    left = dets[:, 4].detach().cpu().sort(0, descending=True)[1].numpy()
    groups = []
    while len(left):
        first, rest = left[0], left[1:]
        near = _overlaps(table, areas, first, rest, np.float32(0)) >= np.float32(iou_threshold)
        groups.append([int(first), *rest[near].tolist()])
        left = rest[~near]
    return groups


def _overlaps(
    table: NDArray[np.float32],
    areas: NDArray[np.float32],
    one: np.int64,
    others: NDArray[np.int64],
    offset: np.float32,
) -> NDArray[np.float32]:
    """IoU of one box with others, shape (number of others,)."""
    low = np.maximum(table[one, :2], table[others, :2])
    size = (np.minimum(table[one, 2:4], table[others, 2:4]) - low + offset).clip(min=0)
    inter = size[:, 0] * size[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):  # boxes without area
        overlap: NDArray[np.float32] = inter / (areas[one] + areas[others] - inter)
    return overlap
