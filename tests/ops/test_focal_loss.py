"""The focal losses against their definition, and their gradients against autograd's."""

from __future__ import annotations

import pytest
import torch

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sigmoid_focal_loss(reduction, weighted):
    from mmcv.ops import sigmoid_focal_loss
    from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

    draw = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(20, 4, generator=draw, dtype=torch.float64)).requires_grad_()
    target = torch.randint(0, 5 if not weighted else 4, (20,), generator=draw)  # 4 is the background
    weight = torch.rand(4, generator=draw, dtype=torch.float64) if weighted else None
    ours = sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, reduction)
    one_hot = torch.nn.functional.one_hot(target, 5)[:, :4]
    theirs = py_sigmoid_focal_loss(logits, one_hot, gamma=2.0, alpha=0.25, reduction="none")
    if weight is not None:
        theirs = theirs * weight[target][:, None]
    theirs = {"none": theirs, "mean": theirs.sum() / 20, "sum": theirs.sum()}[reduction]
    torch.testing.assert_close(ours, theirs)
    both = [torch.autograd.grad(loss.sum(), logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_focal_loss(weighted):
    from mmcv.ops import softmax_focal_loss

    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(20, 4, generator=draw, dtype=torch.float64, requires_grad=True)
    target = torch.randint(-1, 4, (20,), generator=draw)
    weight = torch.rand(4, generator=draw, dtype=torch.float64) if weighted else None
    ours = softmax_focal_loss(logits, target, 2.0, 0.25, weight, "sum")
    p = logits.softmax(1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    theirs = -0.25 * (1 - p) ** 2 * p.log() * (target >= 0)
    if weight is not None:
        theirs = theirs * weight[target.clamp(min=0)]
    torch.testing.assert_close(ours, theirs.sum())
    both = [torch.autograd.grad(loss.sum(), logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("extreme", [-200.0, 200.0])
def test_sure_logits_stay_finite(extreme):
    from mmcv.ops import sigmoid_focal_loss

    logits = torch.full((2, 1), extreme, requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([0, 1]), 2.0, 0.25, None, "sum")
    assert bool(loss.isfinite())
    assert bool(torch.autograd.grad(loss, logits)[0].isfinite().all())
