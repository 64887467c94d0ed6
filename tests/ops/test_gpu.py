"""Ops of the stand-in give on a GPU what they give on the CPU, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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


CASES = {
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
