"""Deformable RoI pooling in torch, forward and backward.

The operation is that of Dai et al., Deformable Convolutional Networks (2017), section 2.2, with the points
of RoIAlign: each bin of a RoI is moved by an offset of its own, in parts of the RoI's size, and is the mean
of the map at a grid of points, read by bilinear interpolation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["deform_roi_pool_backward", "deform_roi_pool_forward"]


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Write the pooled bins into ``output``.

    Args:
        input: Feature map, shape (B, C, H, W); any float type, any device. Half precision is computed in
            float32.
        rois: Shape (N, 5): index into the batch, then x1, y1, x2, y2 in image pixels.
        offset: Shape (N, 2, pooled_height, pooled_width): x, y of each bin; empty for none.
        output: Shape (N, C, pooled_height, pooled_width), overwritten.
        pooled_height: Bins per RoI in y.
        pooled_width: Bins per RoI in x.
        spatial_scale: Feature map cells per image pixel.
        sampling_ratio: Points per bin and axis; 0 or less: each RoI's bin size in cells, rounded up.
        gamma: What offsets are multiplied by, beside the RoI's size.

    Points more than one cell outside the map count as 0, points nearer are moved onto its border; bins
    without points are 0. Offsets that move a point beyond the border get no gradient from it.
    """
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    sizes = pooled_height, pooled_width
    with torch.no_grad(), torch.autocast(input.device.type, enabled=False):
        maps, moved = input.to(dtype), offset.to(dtype)
        output.zero_()
        for of, grid in _alike(rois.to(dtype), sizes, spatial_scale, sampling_ratio):
            part = moved[of] if moved.numel() else None
            output[of] = _pool(maps, rois[of].to(dtype), part, sizes, spatial_scale, grid, gamma).to(
                output.dtype
            )


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Add the gradients to ``grad_input`` and ``grad_offset``. See `deform_roi_pool_forward` for the rest.

    Args:
        grad_output: Shape (N, C, pooled_height, pooled_width).
        input: Feature map, shape (B, C, H, W).
        rois: Shape (N, 5); RoIs get no gradient.
        offset: Shape (N, 2, pooled_height, pooled_width), or empty.
        grad_input: Shape of ``input``, added to in place.
        grad_offset: Shape of ``offset``, added to in place.
        pooled_height: Bins per RoI in y.
        pooled_width: Bins per RoI in x.
        spatial_scale: Feature map cells per image pixel.
        sampling_ratio: Points per bin and axis; 0 or less: each RoI's bin size in cells, rounded up.
        gamma: What offsets are multiplied by, beside the RoI's size.
    """
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    sizes = pooled_height, pooled_width
    for of, grid in _alike(rois.to(dtype), sizes, spatial_scale, sampling_ratio):
        with torch.enable_grad(), torch.autocast(input.device.type, enabled=False):
            maps = input.detach().to(dtype).requires_grad_()
            moved = offset[of].detach().to(dtype).requires_grad_() if offset.numel() else None
            pooled = _pool(maps, rois[of].to(dtype), moved, sizes, spatial_scale, grid, gamma)
            leaves = [maps] if moved is None else [maps, moved]
            found = torch.autograd.grad(pooled, leaves, grad_output[of].to(dtype))
        grad_input.add_(found[0].to(grad_input.dtype))
        if moved is not None:
            grad_offset.index_add_(0, of, found[1].to(grad_offset.dtype))


def _alike(
    rois: Tensor, sizes: tuple[int, int], scale: float, ratio: int
) -> list[tuple[Tensor, tuple[int, int]]]:
    """Return numbers of RoIs that have the same points per bin, and those in y and x; none without points."""
    if ratio > 0:
        return [(torch.arange(len(rois), device=rois.device), (ratio, ratio))] if len(rois) else []
    extents = torch.stack([(rois[:, 4] - rois[:, 2]) / sizes[0], (rois[:, 3] - rois[:, 1]) / sizes[1]], 1)
    grids, which = (extents * scale).ceil().long().unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
    return [
        ((which == place).nonzero().flatten(), (high, wide))
        for place, (high, wide) in enumerate(grids.tolist())
        if high > 0 and wide > 0
    ]


def _pool(
    maps: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    sizes: tuple[int, int],
    scale: float,
    grid: tuple[int, int],
    gamma: float,
) -> Tensor:
    """Pool RoIs with the same points per bin, (N, C, bins in y, bins in x)."""
    channels, height, width = maps.shape[1:]
    corners = rois[:, 1:] * scale - 0.5
    spans = corners[:, 2:] - corners[:, :2]  # x, y
    y, x = (
        corners[:, axis, None, None] + _steps(bins, points, rois) * spans[:, axis, None, None]
        for axis, bins, points in ((1, sizes[0], grid[0]), (0, sizes[1], grid[1]))
    )  # (N, bins, points)
    y, x = y[:, :, None, :, None], x[:, None, :, None, :]
    if offset is not None:
        moved = offset * gamma * spans[:, :, None, None]
        x, y = x + moved[:, 0, :, :, None, None], y + moved[:, 1, :, :, None, None]
    y, x = (
        y + torch.zeros_like(x),
        x + torch.zeros_like(y),
    )  # (N, bins in y, bins in x, points in y, points in x)
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    nowhere = y.new_zeros(())  # NaN is outside as well, and no place to read
    y, x = y.where(inside, nowhere).clamp(0, height - 1), x.where(inside, nowhere).clamp(0, width - 1)
    top, left = y.detach().floor(), x.detach().floor()
    down, right = y - top, x - left
    below, beside = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    image = rois[:, 0].long()[:, None, None, None, None] * height
    near = torch.stack(
        [(image + row.long()) * width + column.long() for row in (top, below) for column in (left, beside)],
        -1,
    )
    shares = torch.stack([a * b for a in (1 - down, down) for b in (1 - right, right)], -1)
    shares = shares * (inside / (grid[0] * grid[1])).unsqueeze(-1)
    cells = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    bag = 4 * grid[0] * grid[1]
    read = functional.embedding_bag(
        near.reshape(-1, bag), cells, mode="sum", per_sample_weights=shares.reshape(-1, bag)
    )
    return read.view(len(rois), *sizes, channels).permute(0, 3, 1, 2)


def _steps(bins: int, points: int, like: Tensor) -> Tensor:
    """Return where an axis' points lie in a RoI, in parts of its size, shape (bins, points)."""
    first = torch.arange(bins, device=like.device, dtype=like.dtype)[:, None]
    return (first + (torch.arange(points, device=like.device, dtype=like.dtype) + 0.5) / points) / bins
