"""Greedy non-maximum suppression in torch, with the kept indices of mmcv's compiled op."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["nms"]

_TILE = 1 << 18  # box pairs compared at a time: two float32 buffers of it fit a CPU's L2 cache
_TILE_ACCELERATOR = 1 << 24


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0, *, block: int = 256) -> Tensor:
    """Keep each box that no kept box of a higher score overlaps by more than the threshold.

    Args:
        boxes: Shape (N, 4), corners x1, y1, x2, y2 in pixels; any float type, any device.
        scores: Shape (N,).
        iou_threshold: A box is dropped when its IoU with a kept one is strictly greater.
        offset: Added to each width and height: 0 for continuous coordinates, 1 for inclusive pixels.
        block: Boxes that are decided together; it changes the time only.

    Returns:
        Indices of the kept boxes, int64, highest score first. Equal scores stand in the order of
        ``scores.sort(0, descending=True)``, the very call of the compiled op.

    Like the compiled op, this computes in float32 (float64 stays float64) and compares a quotient on the CPU,
    a product on other devices, so that borderline pairs fall on the same side.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    order = scores.sort(0, descending=True)[1]
    ranked = boxes.detach().index_select(0, order)
    if ranked.dtype != torch.float64:
        ranked = ranked.float()
    # One contiguous row per coordinate; the fifth is the area.
    x1, y1, x2, y2 = ranked.unbind(1)
    width, height = x2 - x1 + offset, y2 - y1 + offset
    table = torch.stack([x1, y1, x2, y2, width * height])

    keep = torch.zeros(len(order), dtype=torch.bool, device=boxes.device)
    for ranks in _separate(table, width, height, iou_threshold, offset, block):
        part = table if ranks is None else table.index_select(1, ranks)
        kept = _suppress(part, iou_threshold, offset, block)
        keep[kept if ranks is None else ranks[kept]] = True
    return order[keep]


def _separate(
    table: Tensor, width: Tensor, height: Tensor, iou_threshold: float, offset: int, block: int
) -> list[Tensor | None]:
    """Split the ranks into groups that share no stretch of the x axis, or return ``[None]`` for all as one.

    Boxes of different classes or pyramid levels, which ``batched_nms`` moves apart, fall into groups of
    their own. That is exact: no overlap, no suppression. Degenerate boxes and negative thresholds break
    this argument, and NaN breaks the order, so then all boxes stay together.
    """
    if table.shape[1] <= block or not iou_threshold >= 0:
        return [None]
    if not bool(((width >= 0) & (height >= 0)).all()):
        return [None]
    left, by_left = table[0].sort()
    reach = (table[2].index_select(0, by_left) + offset).cummax(0)[0]
    cuts: list[int] = []
    for gap in ((left[1:] > reach[:-1]).nonzero().flatten() + 1).tolist():
        if gap - (cuts[-1] if cuts else 0) >= block:  # smaller groups cost more in calls than in pairs
            cuts.append(gap)
    if not cuts:
        return [None]
    return [group.sort()[0] for group in by_left.tensor_split(cuts)]  # the highest score first again


def _suppress(table: Tensor, iou_threshold: float, offset: int, block: int) -> Tensor:
    """Return the columns of ``table``, shape (5, N) and highest score first, that survive."""
    tile = _TILE if table.device.type == "cpu" else _TILE_ACCELERATOR
    left = torch.arange(table.shape[1], device=table.device)
    kept = []
    while len(left):
        head = table[:, :block]
        among = _overlaps(head, head, iou_threshold, offset).triu_(1)
        alive = _decide(among)
        kept.append(left[:block][alive])
        table, left = table[:, block:], left[block:]
        if not len(left):
            break
        chosen = head[:, alive]
        step = max(tile // chosen.shape[1], 1)
        free = torch.cat(
            [
                ~_overlaps(chosen, some, iou_threshold, offset).any(0)
                for some in torch.split(table, step, dim=1)
            ]
        )
        table, left = table[:, free], left[free]
    return torch.cat(kept)


def _decide(among: Tensor) -> Tensor:
    """Solve ``alive[j] = not any(alive[i] and among[i, j], i < j)`` for an upper triangular (K, K) matrix.

    Each round settles at least one more box of every chain, so the fixed point is reached after as many
    rounds as the longest chain of suppressions has links, and it is the greedy answer.
    """
    hits = among.float()
    alive = torch.ones(len(hits), device=hits.device)
    while True:
        settled = (alive @ hits == 0).float()
        if torch.equal(settled, alive):
            return alive.bool()
        alive = settled


def _overlaps(a: Tensor, b: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Say which pairs have an IoU above the threshold: (5, A) and (5, B) -> bool (A, B)."""
    a = a[:, :, None]
    inter = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0]))
    height = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1]))
    if offset:
        inter.add_(offset)
        height.add_(offset)
    inter.clamp_(min=0).mul_(height.clamp_(min=0))
    union = torch.add(a[4], b[4], out=height).sub_(inter)
    threshold = torch.tensor(iou_threshold, dtype=torch.float32).item()  # the C++ argument is a float
    if a.device.type == "cpu":
        return inter.div_(union) > threshold
    return inter > union.mul_(threshold)
