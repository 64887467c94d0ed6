"""Deformable attention by mmcv's function for GPUs, and overlaps, against mmcv's and mmdet's own in torch."""

from __future__ import annotations

import pytest
import torch

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported


def test_deformable_attention_is_mmcvs():
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    draw = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[6, 4], [3, 2]])
    starts = torch.tensor([0, 24])
    kind = {"generator": draw, "dtype": torch.float64}
    leaves = [
        torch.rand(2, 30, 2, 4, **kind).requires_grad_(),
        (1.4 * torch.rand(2, 5, 2, 2, 3, 2, **kind) - 0.2).requires_grad_(),
        torch.rand(2, 5, 2, 2, 3, **kind).requires_grad_(),
    ]
    above = torch.randn(2, 5, 8, **kind)
    ours = MultiScaleDeformableAttnFunction.apply(leaves[0], shapes, starts, leaves[1], leaves[2], 64)
    theirs = multi_scale_deformable_attn_pytorch(leaves[0], shapes, leaves[1], leaves[2])
    torch.testing.assert_close(ours, theirs)
    both = [torch.autograd.grad(output, leaves, above) for output in (ours, theirs)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("mode", ["iou", "iof"])
def test_overlaps_are_mmdets(mode, aligned):
    from mmcv.ops import bbox_overlaps
    from mmdet.structures.bbox import bbox_overlaps as reference

    draw = torch.Generator().manual_seed(0)
    low = 20 * torch.rand(2, 9, 2, generator=draw)
    first, second = torch.cat([low, low + 1 + 10 * torch.rand(2, 9, 2, generator=draw)], -1)
    torch.testing.assert_close(
        bbox_overlaps(first, second, mode=mode, aligned=aligned),
        reference(first, second, mode=mode, is_aligned=aligned),
    )


def test_overlaps_count_whole_pixels_where_asked_for():
    from mmcv.ops import bbox_overlaps

    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [5.0, 0.0, 14.0, 9.0], [30.0, 0.0, 39.0, 9.0]])
    found = bbox_overlaps(boxes[:1], boxes, offset=1)
    torch.testing.assert_close(found, torch.tensor([[1.0, 50 / 150, 0.0]]))
