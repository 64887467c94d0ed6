"""BorderAlign: the largest value along each border of each box, with the points of mmcv's compiled op."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["border_align_backward", "border_align_forward"]


def border_align_forward(
    input: Tensor, boxes: Tensor, output: Tensor, argmax_idx: Tensor, pool_size: int
) -> None:
    """Write each border's maximum into ``output`` and the number of its point into ``argmax_idx``.

    Qiu et al., "BorderDet: Border Feature for Dense Object Detection", ECCV 2020.

    Args:
        input: Shape (B, 4 C, H, W): C channels each for top, left, bottom and right.
        boxes: Shape (B, K, 4), corners x1, y1, x2, y2 in cells.
        output: Shape (B, C, K, 4), overwritten: top, left, bottom, right.
        argmax_idx: Shape of ``output``, overwritten: 0 to ``pool_size``.
        pool_size: Steps along a border; one point more is read.
    """
    kind = torch.float64 if input.dtype == torch.float64 else torch.float32
    maps = input.detach().to(kind).chunk(4, dim=1)
    number = torch.arange(pool_size + 1, device=input.device)
    for side, plane in enumerate(maps):
        x, y = _points(boxes.to(kind), side, pool_size, number)
        values = sum(weight[:, None] * _gather(plane, cells) for cells, weight in _corners(x, y, plane))
        best, which = torch.as_tensor(values).max(-1)
        output[..., side].copy_(best)
        argmax_idx[..., side].copy_(which)


def border_align_backward(
    grad_output: Tensor, boxes: Tensor, argmax_idx: Tensor, grad_input: Tensor, pool_size: int
) -> None:
    """Add to ``grad_input`` what each border's gradient gives to its point's neighbours.

    Args:
        grad_output: Shape (B, C, K, 4).
        boxes: Shape (B, K, 4), corners in cells.
        argmax_idx: As `border_align_forward` left it.
        grad_input: Shape (B, 4 C, H, W), added to in place.
        pool_size: Steps along a border.
    """
    kind = torch.float64 if grad_input.dtype == torch.float64 else torch.float32
    batch, channels = grad_output.shape[:2]
    total = torch.zeros((4, batch, channels, *grad_input.shape[2:]), dtype=kind, device=grad_input.device)
    for side, plane in enumerate(total):
        which = argmax_idx[..., side].permute(0, 2, 1)  # points differ from channel to channel
        x, y = _points(boxes.to(kind), side, pool_size, which)
        above = grad_output[..., side].detach().to(kind)
        for cells, weight in _corners(x, y, plane):
            given = above * weight.permute(0, 2, 1)
            plane.flatten(2).scatter_add_(2, cells.permute(0, 2, 1), given)
    grad_input.add_(total.transpose(0, 1).flatten(1, 2).to(grad_input.dtype))


def _points(boxes: Tensor, side: int, pool_size: int, number: Tensor) -> tuple[Tensor, Tensor]:
    """Points by their number, shape (B, K, points), in cells: from x1, y1 on, or from x2, y2 back."""
    corner = boxes[..., :2] if side < 2 else boxes[..., 2:]
    step = (boxes[..., 2:] - boxes[..., :2]) / pool_size * (1 if side < 2 else -1)
    x, y = corner[..., 0, None], corner[..., 1, None]
    if side % 2 == 0:
        x = x + step[..., 0, None] * number
    else:
        y = y + step[..., 1, None] * number
    return x.expand(*x.shape[:2], number.shape[-1]), y.expand(*y.shape[:2], number.shape[-1])


def _corners(x: Tensor, y: Tensor, plane: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Cells around points, as places in a plane, and their bilinear weights; 0 beyond a cell outside."""
    height, width = plane.shape[-2:]
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    dx, dy = x - left, y - top
    return [
        ((row * width + column).long(), wy * wx * inside)
        for row, wy in ((top, 1 - dy), (bottom, dy))
        for column, wx in ((left, 1 - dx), (right, dx))
    ]


def _gather(plane: Tensor, cells: Tensor) -> Tensor:
    """Values of a (B, C, H, W) plane at (B, K, points) cells, shape (B, C, K, points)."""
    flat = plane.flatten(2)
    places = cells.flatten(1)[:, None].expand(-1, flat.shape[1], -1)
    return flat.gather(2, places).view(*flat.shape[:2], *cells.shape[1:])
