"""RoIPool: the largest value of each bin, with the bins of mmcv's compiled op.

RoIs are taken one by one: hardly a detector of today pools so, and bins differ from RoI to RoI.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["roi_pool_backward", "roi_pool_forward"]


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Write each bin's maximum into ``output`` and its cell into ``argmax``.

    Girshick, "Fast R-CNN", ICCV 2015.

    Args:
        input: Feature map, shape (B, C, H, W).
        rois: Shape (N, 5): index into the batch, then x1, y1, x2, y2 in image pixels; the last ones
            belong to it.
        output: Shape (N, C, pooled_height, pooled_width), overwritten; 0 for a bin without cells.
        argmax: Shape of ``output``, overwritten: place in the plane of H x W cells, -1 for a bin without any.
        pooled_height: Bins in y.
        pooled_width: Bins in x.
        spatial_scale: Feature map cells per image pixel.
    """
    output.zero_()
    argmax.fill_(-1)
    height, width = input.shape[2:]
    kind = torch.float64 if rois.dtype == torch.float64 else torch.float32
    low = rois[:, 1:3].detach().to(kind) * spatial_scale
    size = (rois[:, 3:5].detach().to(kind) + 1) * spatial_scale - low
    columns = _bins(low[:, 0], size[:, 0], pooled_width, width)
    rows = _bins(low[:, 1], size[:, 1], pooled_height, height)
    for n, image in enumerate(rois[:, 0].long().tolist()):
        if not bool((size[n] > 0).all()):
            continue
        plane = input[image].detach()
        for y, (top, bottom) in enumerate(rows[n]):
            for x, (left, right) in enumerate(columns[n]):
                if top < bottom and left < right:
                    values, place = plane[:, top:bottom, left:right].flatten(1).max(1)
                    output[n, :, y, x] = values
                    row, column = place // (right - left), place % (right - left)
                    argmax[n, :, y, x] = ((row + top) * width + column + left).to(argmax.dtype)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add each bin's gradient to the cell that it was taken from.

    Args:
        grad_output: Shape (N, C, pooled_height, pooled_width).
        rois: Shape (N, 5); only the index into the batch is read.
        argmax: As `roi_pool_forward` left it.
        grad_input: Shape (B, C, H, W), added to in place.
        pooled_height, pooled_width, spatial_scale: Not read.
    """
    channels, height, width = grad_input.shape[1:]
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    cells = plane[:, :, None, None] * (height * width) + argmax
    taken = argmax >= 0
    grad_input.view(-1).index_add_(0, cells[taken], grad_output.detach()[taken].to(grad_input.dtype))


def _bins(low: Tensor, size: Tensor, count: int, length: int) -> list[list[tuple[int, int]]]:
    """First cell and one more than the last of each RoI's bins along an axis."""
    step = size[:, None] / count
    number = torch.arange(count, device=low.device, dtype=low.dtype)
    first = (number * step + low[:, None]).floor().clamp(0, length).nan_to_num(0).long()
    last = ((number + 1) * step + low[:, None]).ceil().clamp(0, length).nan_to_num(0).long()
    return [list(zip(*pair, strict=True)) for pair in zip(first.tolist(), last.tolist(), strict=True)]
