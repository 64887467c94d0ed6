"""Deformable attention over several scales on a GPU, by mmcv's own formulation in torch.

On the CPU mmcv takes that by itself. Zhu et al., "Deformable DETR", ICLR 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["ms_deform_attn_backward", "ms_deform_attn_forward"]


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """The weighted sum of the sampled values, shape (B, queries, heads x channels).

    Args:
        value: Shape (B, cells of all levels, heads, channels).
        value_spatial_shapes: Shape (levels, 2): height and width in cells.
        value_level_start_index: Not read: levels follow each other.
        sampling_locations: Shape (B, queries, heads, levels, points, 2): x and y, from 0 to 1 over a level.
        attention_weights: Shape (B, queries, heads, levels, points).
        im2col_step: Not read.
    """
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    found: Tensor = multi_scale_deformable_attn_pytorch(
        value, value_spatial_shapes, sampling_locations, attention_weights
    )
    return found


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Add the gradients by value, locations and weights to ``grad_value`` and its like.

    Args:
        value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights: As in
            `ms_deform_attn_forward`.
        grad_output: Shape (B, queries, heads x channels).
        grad_value, grad_sampling_loc, grad_attn_weight: Shapes of what they belong to, added to in place.
        im2col_step: Not read.
    """
    leaves = [part.detach().requires_grad_() for part in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = ms_deform_attn_forward(
            leaves[0], value_spatial_shapes, value_level_start_index, leaves[1], leaves[2], im2col_step
        )
        gradients = torch.autograd.grad(output, leaves, grad_output)
    for total, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True):
        total.add_(gradient)
