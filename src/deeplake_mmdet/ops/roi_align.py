"""RoIAlign in torch, forward and backward, with the sampling of mmcv's compiled op.

The operation is that of He et al., Mask R-CNN (2017), section 3: a RoI is cut into bins, each bin holds a
grid of points, the feature map is read at each point by bilinear interpolation, and a bin's value is the mean
over its grid. Grid and interpolation are products of a part in y and a part in x, so for one RoI and one
channel ``out = Wy @ F @ Wx.T``, where F is the window of the map that the RoI touches. The gradient of F is
``Wy.T @ grad_out @ Wx``. The maximum instead of the mean is in ``roi_align_max.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

from deeplake_mmdet.ops.roi_align_max import max_backward, max_forward

__all__ = ["roi_align_backward", "roi_align_forward"]

_ELEMENTS = 1 << 20  # values of the feature map gathered at a time: 4 MiB of float32 stay in a CPU's cache
_ELEMENTS_ACCELERATOR = 1 << 26

P = ParamSpec("P")


def _own_precision(op: Callable[P, None]) -> Callable[P, None]:
    """Run an op outside autocast, which would multiply in half precision."""

    @wraps(op)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        tensor = next(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        with torch.autocast(tensor.device.type, enabled=False):
            op(*args, **kwargs)

    return run


@_own_precision
def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the pooled features of each RoI into ``output``.

    Args:
        input: Feature map, shape (B, C, H, W); any float type, any device.
        rois: Shape (N, 5): index into the batch, then x1, y1, x2, y2 in image pixels.
        output: Shape (N, C, aligned_height, aligned_width), overwritten.
        argmax_y: Where each maximum lies, shape of ``output``, overwritten; unused for the mean.
        argmax_x: The same in x.
        aligned_height: Bins per RoI in y.
        aligned_width: Bins per RoI in x.
        spatial_scale: Feature map cells per image pixel.
        sampling_ratio: Points per bin and axis; 0 or less: each RoI's bin size in cells, rounded up.
        pool_mode: 1 for the mean of a bin's points, 0 for their maximum.
        aligned: Shift by half a cell so that pixel centres meet; without, RoIs are at least one cell large.

    Points more than one cell outside the map count as 0, points nearer are moved onto its border. RoIs with
    an infinite or NaN corner pool to 0. Half precision is computed in float32. As in the compiled op for
    GPUs, RoIs with x2 < x1 or y2 < y1, which random heads predict, are read backwards if ``aligned`` and
    ``sampling_ratio`` is above 0; with 0 or less they have no points: their mean is 0.
    """
    if pool_mode == 0:
        max_forward(input, rois, output, argmax_y, argmax_x, spatial_scale, sampling_ratio, aligned)
        return
    bins = (aligned_height, aligned_width)
    channels = input.shape[1]
    pooled = torch.zeros((len(rois), *bins, channels), dtype=_compute_type(input), device=input.device)
    cells = input.detach().permute(0, 2, 3, 1).reshape(-1, channels).to(pooled.dtype)
    for part in _parts(rois, input.shape, pooled.dtype, bins, spatial_scale, sampling_ratio, aligned):
        window = cells.index_select(0, part.cells.flatten())
        window = window.view(len(part.rois), part.cells.shape[1], -1)
        rows = torch.bmm(part.weights_y, window).view(len(part.rois), bins[0], -1, channels)
        pooled.index_copy_(0, part.rois, torch.matmul(part.weights_x[:, None], rows))
    output.copy_(pooled.permute(0, 3, 1, 2))


@_own_precision
def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of the feature map to ``grad_input``.

    Args:
        grad_output: Shape (N, C, aligned_height, aligned_width).
        rois: Shape (N, 5): index into the batch, then x1, y1, x2, y2 in image pixels; RoIs get no gradient.
        argmax_y: Where each maximum lies, as the forward pass left it; unused for the mean.
        argmax_x: The same in x.
        grad_input: Shape (B, C, H, W), added to in place; the caller hands in zeros.
        aligned_height: Bins per RoI in y.
        aligned_width: Bins per RoI in x.
        spatial_scale: Feature map cells per image pixel.
        sampling_ratio: Points per bin and axis; 0 or less: each RoI's bin size in cells, rounded up.
        pool_mode: 1 for the mean of a bin's points, 0 for their maximum.
        aligned: Shift by half a cell so that pixel centres meet; without, RoIs are at least one cell large.
    """
    if pool_mode == 0:
        max_backward(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    bins = (aligned_height, aligned_width)
    batch, channels, height, width = grad_input.shape
    dtype = _compute_type(grad_input)
    cells = torch.zeros((batch * height * width, channels), dtype=dtype, device=grad_input.device)
    above = grad_output.detach().permute(0, 2, 3, 1).to(dtype)
    for part in _parts(rois, grad_input.shape, dtype, bins, spatial_scale, sampling_ratio, aligned):
        rows = torch.matmul(part.weights_x.transpose(1, 2)[:, None], above.index_select(0, part.rois))
        window = torch.bmm(part.weights_y.transpose(1, 2), rows.view(len(part.rois), bins[0], -1))
        cells.index_add_(0, part.cells.flatten(), window.view(-1, channels))
    grad_input.add_(cells.view(batch, height, width, channels).permute(0, 3, 1, 2))


@dataclass(frozen=True)
class _Part:
    """RoIs pooled together: n of them, on windows of h × w cells."""

    rois: Tensor  # (n,) which RoIs
    cells: Tensor  # (n, h, w) indices into the flattened (B·H·W, C) map
    weights_y: Tensor  # (n, bins in y, h)
    weights_x: Tensor  # (n, bins in x, w)


@dataclass(frozen=True)
class _Axis:
    """One axis of all RoIs, in feature map cells."""

    start: Tensor  # (N,) where the RoI begins
    size: Tensor  # (N,) how long it is
    grid: Tensor  # (N,) points per bin
    first: Tensor  # (N,) first cell of its window
    extent: Tensor  # (N,) cells in its window
    bins: int
    length: int  # of the map


def _compute_type(features: Tensor) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _parts(
    rois: Tensor,
    shape: torch.Size,
    dtype: torch.dtype,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Iterator[_Part]:
    """Sort RoIs by the size of their windows and cut them into parts of bounded memory."""
    if not len(rois):
        return
    _, channels, height, width = shape
    image = rois[:, 0].long()
    corners = rois[:, 1:].detach().to(dtype) * spatial_scale - (0.5 if aligned else 0.0)
    finite = corners.isfinite().all(1)
    x1, y1, x2, y2 = corners.where(finite[:, None], corners.new_zeros(())).unbind(1)
    y = _axis(y1, y2, finite, bins[0], height, sampling_ratio, aligned)
    x = _axis(x1, x2, finite, bins[1], width, sampling_ratio, aligned)
    order = (y.extent * width + x.extent).argsort()
    # The only transfer to the host: what the parts' sizes depend on.
    facts = torch.stack([order, y.extent[order], x.extent[order], y.grid[order], x.grid[order]])
    columns = facts.flatten().tolist()
    n = len(rois)
    extents_y, extents_x, grids_y, grids_x = (columns[k * n : (k + 1) * n] for k in range(1, 5))

    limit = _ELEMENTS if rois.device.type == "cpu" else _ELEMENTS_ACCELERATOR
    start = 0
    while start < n:
        stop, h, w, grid_y, grid_x = start, 0, 0, 0, 0
        while stop < n:
            h, w = max(h, extents_y[stop]), max(w, extents_x[stop])
            grid_y, grid_x = max(grid_y, grids_y[stop]), max(grid_x, grids_x[stop])
            need = h * w * channels + bins[0] * grid_y + bins[1] * grid_x
            if stop > start and need * (stop + 1 - start) > limit:
                break
            stop += 1
        which = order[start:stop]
        rows, weights_y = _weights(y, which, h, grid_y)
        columns_, weights_x = _weights(x, which, w, grid_x)
        cells = (image[which, None, None] * height + rows[:, :, None]) * width + columns_[:, None, :]
        yield _Part(which, cells, weights_y, weights_x)
        start = stop


def _axis(
    start: Tensor, end: Tensor, finite: Tensor, bins: int, length: int, sampling_ratio: int, aligned: bool
) -> _Axis:
    size = end - start
    if not aligned:
        size = size.clamp(min=1.0)
    if sampling_ratio > 0:
        grid = torch.full_like(start, sampling_ratio)
    else:
        grid = (size / bins).ceil()
    grid = grid.clamp(min=0) * finite
    low, high = torch.minimum(start, start + size), torch.maximum(start, start + size)
    first = low.floor().clamp(0, length - 1)
    last = (high.floor() + 1).clamp(0, length - 1)
    last = torch.maximum(first, last)
    return _Axis(start, size, grid.long(), first.long(), (last - first).long() + 1, bins, length)


def _weights(axis: _Axis, which: Tensor, extent: int, grid_max: int) -> tuple[Tensor, Tensor]:
    """Return the window's cells, shape (n, extent), and each bin's weights on them, (n, bins, extent)."""
    start, size = axis.start[which, None, None], axis.size[which, None, None]
    grid, first = axis.grid[which, None, None], axis.first[which, None, None]
    bin_size = size / axis.bins
    bins = torch.arange(axis.bins, device=start.device, dtype=start.dtype)[:, None]
    points = torch.arange(grid_max, device=start.device, dtype=start.dtype)
    # The compiled kernel's order of operations, so that points near a cell's edge fall on the same side.
    at = (start + bins * bin_size) + (points + 0.5) * bin_size / grid  # (n, bins, grid_max)
    counts = (points < grid) & (at >= -1.0) & (at <= axis.length)
    at = at.where(counts, at.new_zeros(())).clamp(0, axis.length - 1)
    low = at.floor()
    share = (at - low).to(start.dtype)
    unit = counts.to(start.dtype) / grid.clamp(min=1)
    # Rounding can put a point one ulp behind its RoI's end; the neighbour it would reach has no weight.
    low_cell = (low.long() - first).clamp(0, extent - 1)
    high_cell = (low_cell + 1).clamp(max=extent - 1)
    weights = start.new_zeros((len(which), axis.bins, extent))
    weights.scatter_add_(2, low_cell, (1 - share) * unit)
    weights.scatter_add_(2, high_cell, share * unit)
    cells = (first[:, 0] + torch.arange(extent, device=start.device)).clamp(max=axis.length - 1)
    return cells, weights
