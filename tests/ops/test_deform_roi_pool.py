"""The stand-in's deformable RoI pooling against RoIAlign, which it is when nothing is moved, and numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet import ops


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    ops.install()
    import mmcv.ops  # noqa: F401

    if ops.in_use() == "compiled":
        pytest.skip("compiled mmcv ops are installed here")


def drawn(seed: int, count: int):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 3, 9, 11, generator=generator, dtype=torch.float64)
    corners = torch.rand(count, 4, generator=generator, dtype=torch.float64) * 60 - 10
    images = torch.randint(0, 2, (count, 1), generator=generator).double()
    return maps, torch.cat([images, corners], 1), generator


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 5), ratio=st.integers(0, 3), empty=st.booleans())
def test_without_offsets_it_is_roi_align(seed, count, ratio, empty):
    from mmcv.ops import deform_roi_pool, roi_align

    maps, rois, _ = drawn(seed, count)
    offset = None if empty else torch.zeros(count, 2, 3, 4, dtype=torch.float64)
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    pooled = deform_roi_pool(ours, rois, offset, (3, 4), 0.25, ratio, 0.1)
    expected = roi_align(theirs, rois, (3, 4), 0.25, ratio, "avg", True)
    torch.testing.assert_close(pooled, expected)
    above = torch.randn(expected.shape, dtype=torch.float64)
    (found,), (wanted,) = (torch.autograd.grad(o, i, above) for o, i in ((pooled, ours), (expected, theirs)))
    torch.testing.assert_close(found, wanted)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), ratio=st.integers(0, 3))
def test_an_offset_moves_a_bin_by_parts_of_its_roi(seed, ratio):
    from mmcv.ops import deform_roi_pool, roi_align

    maps, rois, generator = drawn(seed, 4)
    offset = torch.randn(4, 2, 1, 1, generator=generator, dtype=torch.float64) * 3
    moved = rois.clone()
    sizes = rois[:, 3:] - rois[:, 1:3]
    moved[:, 1:3] += 0.2 * sizes * offset[:, :, 0, 0]
    moved[:, 3:] += 0.2 * sizes * offset[:, :, 0, 0]
    if ratio == 0:  # rounding must not change how many points a bin has
        rois, moved = rois[:0], moved[:0]
        offset = offset[:0]
    pooled = deform_roi_pool(maps, rois, offset, (1, 1), 0.25, ratio, 0.2)
    torch.testing.assert_close(pooled, roi_align(maps, moved, (1, 1), 0.25, ratio, "avg", True))


@pytest.mark.parametrize("ratio", [0, 2])
def test_gradients_are_the_slopes(ratio):
    from mmcv.ops import deform_roi_pool

    maps, _, generator = drawn(3, 2)
    rois = torch.tensor([[0, 4.3, 5.1, 30.2, 22.7], [1, 8.9, 3.3, 19.1, 29.4]], dtype=torch.float64)
    offset = torch.randn(2, 2, 2, 3, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda maps, offset: deform_roi_pool(maps, rois, offset, (2, 3), 0.25, ratio, 0.1),
        (maps.requires_grad_(), offset.requires_grad_()),
    )


@pytest.mark.parametrize("kind", ["DeformRoIPoolPack", "ModulatedDeformRoIPoolPack"])
def test_layers_learn_their_offsets(kind):
    import mmcv.ops

    maps, rois, _ = drawn(5, 4)
    layer = getattr(mmcv.ops, kind)((3, 3), 3, deform_fc_channels=8, spatial_scale=0.25)
    layer(maps.float().requires_grad_(), rois.float()).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in layer.parameters())
    assert any(weight.grad.abs().sum() > 0 for weight in layer.offset_fc.parameters())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_computed_in_single(kind):
    from mmcv.ops import deform_roi_pool

    maps, rois, _ = drawn(7, 3)
    maps, rois = maps.to(kind), rois.round().to(kind)
    offset = torch.zeros(3, 2, 2, 2, dtype=kind)
    pooled = deform_roi_pool(maps, rois, offset, (2, 2), 0.25, 2, 0.1)
    expected = deform_roi_pool(maps.double(), rois.double(), offset.double(), (2, 2), 0.25, 2, 0.1)
    assert pooled.dtype == kind
    torch.testing.assert_close(pooled.double(), expected, rtol=2e-2, atol=1e-2)


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("corner", [float("nan"), float("inf")])
def test_rois_that_are_nowhere_are_0_and_harm_no_other(ratio, corner):
    from mmcv.ops import deform_roi_pool

    maps, rois, _ = drawn(11, 3)
    offset = torch.zeros(3, 2, 2, 2, dtype=torch.float64)
    expected = deform_roi_pool(maps, rois, offset, (2, 2), 0.25, ratio, 0.1)
    rois[1, 3] = corner
    found = deform_roi_pool(maps, rois, offset, (2, 2), 0.25, ratio, 0.1)
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    assert found[1].isfinite().all()
