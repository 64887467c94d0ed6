"""RoIAlign by the maximum of a bin's points, with the sampling of mmcv's compiled op.

RoIs are taken one by one: hardly a detector pools so, and numbers of points differ from RoI to RoI.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["max_backward", "max_forward"]


def max_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    """Write each bin's maximum into ``output`` and its point, in cells, into ``argmax_y`` and ``argmax_x``.

    Args:
        input: Feature map, shape (B, C, H, W).
        rois: Shape (N, 5): index into the batch, then x1, y1, x2, y2 in image pixels.
        output: Shape (N, C, bins in y, bins in x), overwritten; a bin without points gets the lowest float32.
        argmax_y: Shape of ``output``, overwritten; -1 for a bin without points.
        argmax_x: Shape of ``output``, overwritten; -1 for a bin without points.
        spatial_scale: Feature map cells per image pixel.
        sampling_ratio: Points per bin and axis; 0 or less: each RoI's bin size in cells, rounded up.
        aligned: Shift by half a cell so that pixel centres meet; without, RoIs are at least one cell large.
    """
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    lowest = torch.finfo(torch.float32).min
    output.fill_(max(lowest, torch.finfo(output.dtype).min))
    argmax_y.fill_(-1)
    argmax_x.fill_(-1)
    shift = 0.5 if aligned else 0.0
    corners = rois[:, 1:].detach().to(dtype) * spatial_scale - shift
    for n, (image, corner) in enumerate(zip(rois[:, 0].long().tolist(), corners, strict=True)):
        if not bool(corner.isfinite().all()):
            output[n] = 0
            continue
        x1, y1, x2, y2 = corner.unbind()
        y = _points(y1, y2, output.shape[2], sampling_ratio, aligned)
        x = _points(x1, x2, output.shape[3], sampling_ratio, aligned)
        if not y.numel() or not x.numel():
            continue
        plane = input[image].detach().to(dtype)
        rows, columns = _weights(y.flatten(), plane.shape[1]), _weights(x.flatten(), plane.shape[2])
        read = (rows @ plane @ columns.T).view(len(plane), *y.shape, *x.shape).transpose(2, 3)
        values, which = read.flatten(3).max(3)
        output[n].copy_(values)
        row, column = which // x.shape[1], which % x.shape[1]
        argmax_y[n].copy_(y[torch.arange(len(y), device=y.device)[:, None], row])
        argmax_x[n].copy_(x[torch.arange(len(x), device=x.device), column])


def max_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor
) -> None:
    """Add to ``grad_input``, shape (B, C, H, W), what each bin's gradient gives to its point's neighbours.

    Args:
        grad_output: Shape (N, C, bins in y, bins in x).
        rois: Shape (N, 5); only the index into the batch is read.
        argmax_y: Shape of ``grad_output``, as `max_forward` left it.
        argmax_x: Shape of ``grad_output``, as `max_forward` left it.
        grad_input: Added to in place.
    """
    dtype = torch.float64 if grad_input.dtype == torch.float64 else torch.float32
    channels, height, width = grad_input.shape[1:]
    y, x = argmax_y.detach().to(dtype), argmax_x.detach().to(dtype)
    inside = (y > -1) & (y <= height) & (x >= -1) & (x <= width)
    above = grad_output.detach().to(dtype).where(inside, y.new_zeros(()))
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor(), x.floor()
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    start = plane[:, :, None, None] * height
    total = torch.zeros(grad_input.numel(), dtype=dtype, device=grad_input.device)
    for row, share_y in ((top, 1 - (y - top)), ((top + 1).clamp(max=height - 1), y - top)):
        for column, share_x in ((left, 1 - (x - left)), ((left + 1).clamp(max=width - 1), x - left)):
            cells = (start + row.long()) * width + column.long()
            total.index_add_(0, cells.flatten(), (above * share_y * share_x).flatten())
    grad_input.add_(total.view_as(grad_input).to(grad_input.dtype))


def _points(low: Tensor, high: Tensor, bins: int, sampling_ratio: int, aligned: bool) -> Tensor:
    """Return the points of one axis, shape (bins, points per bin), in cells."""
    size = high - low if aligned else (high - low).clamp(min=1.0)
    grid = sampling_ratio if sampling_ratio > 0 else max(math.ceil(float(size / bins)), 0)
    bin_size = size / bins
    steps = torch.arange(grid, device=low.device, dtype=low.dtype)
    first = torch.arange(bins, device=low.device, dtype=low.dtype)[:, None]
    return (low + first * bin_size) + (steps + 0.5) * bin_size / max(grid, 1)


def _weights(at: Tensor, length: int) -> Tensor:
    """Return each point's weights on the cells of an axis, shape (points, length)."""
    inside = ((at >= -1.0) & (at <= length)).to(at.dtype)
    at = at.clamp(0, length - 1)
    cells = torch.arange(length, device=at.device, dtype=at.dtype)
    return (1 - (at[:, None] - cells).abs()).clamp(min=0) * inside[:, None]
