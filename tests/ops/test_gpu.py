"""Ops of the stand-in give on a GPU what they give on the CPU, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def deform(features: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    from mmcv.ops import deform_conv2d

    return deform_conv2d(features, offset, weight, 1, 1, 1, 2, 2)


def modulated(features: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    from mmcv.ops import modulated_deform_conv2d

    return modulated_deform_conv2d(features, offset, mask.sigmoid(), weight, bias, 2, 1, 1, 2, 2)


def reassemble(features: Tensor, masks: Tensor) -> Tensor:
    from mmcv.ops import carafe

    return carafe(features, masks.softmax(1), 5, 1, 2)


def pool(mode: str):
    def run(features: Tensor) -> Tensor:
        from mmcv.ops import roi_align

        rois = features.new_tensor(
            [[0, 1.5, 2.5, 30.0, 21.0], [1, 20.0, 20.0, 4.0, 6.0], [0, -9.0, 3.0, 60.0, 70.0]]
        )
        return roi_align(features, rois, (5, 5), 0.5, 2, mode, True)

    return run


ROIS = [[0, 1.5, 2.5, 30.0, 21.0], [1, 20.0, 20.0, 4.0, 6.0], [0, -9.0, 3.0, 60.0, 70.0]]


def whole_bins(features: Tensor) -> Tensor:
    from mmcv.ops import roi_pool

    return roi_pool(features, features.new_tensor(ROIS), (5, 5), 0.5)


def deformed_bins(features: Tensor, offset: Tensor) -> Tensor:
    from mmcv.ops import deform_roi_pool

    return deform_roi_pool(features, features.new_tensor(ROIS), offset, (3, 3), 0.5, 2, 0.1)


def borders(features: Tensor) -> Tensor:
    from mmcv.ops import border_align

    boxes = [[[0.5, 1.0, 6.5, 4.25], [-3.0, -0.5, 2.0, 9.0]], [[3.0, 3.0, 3.0, 3.0], [6.0, 4.0, 1.0, 2.0]]]
    return border_align(features, features.new_tensor(boxes), 4)


def attend(value: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    shapes = torch.tensor([[6, 4], [3, 2]], device=value.device)
    starts = torch.tensor([0, 24], device=value.device)
    found: Tensor = MultiScaleDeformableAttnFunction.apply(
        value, shapes, starts, places.sigmoid(), weights, 64
    )
    return found


def focal(kind: str):
    def run(logits: Tensor) -> Tensor:
        import mmcv.ops

        target = torch.arange(len(logits), device=logits.device) % logits.shape[1]
        return getattr(mmcv.ops, f"{kind}_focal_loss")(logits, target, 2.0, 0.25, None, "sum")

    return run


CASES = {
    "roi_pool": (whole_bins, [(2, 4, 16, 18)]),
    "deform_roi_pool": (deformed_bins, [(2, 4, 16, 18), (3, 2, 3, 3)]),
    "border_align": (borders, [(2, 8, 6, 8)]),
    "ms_deform_attn": (attend, [(2, 30, 2, 4), (2, 5, 2, 2, 3, 2), (2, 5, 2, 2, 3)]),
    "sigmoid_focal_loss": (focal("sigmoid"), [(20, 4)]),
    "softmax_focal_loss": (focal("softmax"), [(20, 4)]),
    "deform_conv": (deform, [(2, 4, 12, 14), (2, 36, 12, 14), (6, 2, 3, 3)]),
    "modulated_deform_conv": (
        modulated,
        [(2, 4, 12, 14), (2, 36, 6, 7), (2, 18, 6, 7), (6, 2, 3, 3), (6,)],
    ),
    "carafe": (reassemble, [(2, 4, 8, 9), (2, 25, 16, 18)]),
    "roi_align avg": (pool("avg"), [(2, 4, 16, 18)]),
    "roi_align max": (pool("max"), [(2, 4, 16, 18)]),
}


@pytest.mark.parametrize("name", CASES)
def test_cpu_and_gpu_agree(name: str) -> None:
    op, shapes = CASES[name]
    given = [random(*shape, seed=place) for place, shape in enumerate(shapes)]
    found = []
    for device in ("cpu", "cuda"):
        leaves = [each.to(device).requires_grad_() for each in given]
        output = op(*leaves)
        above = random(*output.shape, seed=99).to(device)
        found.append([each.cpu() for each in (output, *torch.autograd.grad(output, leaves, above))])
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0][1:], found[1][1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["deform_conv", "modulated_deform_conv", "roi_align avg"])
def test_autocast_trains(name: str, kind: torch.dtype) -> None:
    op, shapes = CASES[name]
    leaves = [random(*shape, seed=place).cuda().requires_grad_() for place, shape in enumerate(shapes)]
    with torch.autocast("cuda", dtype=kind):
        output = op(*leaves)
    gradients = torch.autograd.grad(output.float().sum(), leaves)
    assert all(gradient.isfinite().all() for gradient in gradients)
