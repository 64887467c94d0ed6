"""The stand-in's roi_align against a direct loop over bins and points, and its gradient against numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.ops import roi_align as module

NOTHING = torch.zeros(0)


def read(plane: np.ndarray, y: float, x: float) -> float:
    """Bilinear value of one channel at a point; 0 more than one cell outside."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), max(height - 2, 0)), min(int(x), max(width - 2, 0))
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = plane[top, left] * (1 - dx) + plane[top, right] * dx
    lower = plane[bottom, left] * (1 - dx) + plane[bottom, right] * dx
    return upper * (1 - dy) + lower * dy


def loop(features, rois, bins, scale, ratio, aligned) -> np.ndarray:
    """The definition: the mean of the points of each bin."""
    out = np.zeros((len(rois), features.shape[1], *bins))
    shift = 0.5 if aligned else 0.0
    for n, (image, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (c * scale - shift for c in corners)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1.0), max(h, 1.0)
        rows = ratio if ratio > 0 else math.ceil(h / bins[0])
        columns = ratio if ratio > 0 else math.ceil(w / bins[1])
        rows, columns = max(rows, 0), max(columns, 0)
        for c, p, q in np.ndindex(features.shape[1], *bins):
            total = 0.0
            for i, j in np.ndindex(rows, columns):
                y = y1 + (p + (i + 0.5) / rows) * h / bins[0]
                x = x1 + (q + (j + 0.5) / columns) * w / bins[1]
                total += read(features[int(image), c], y, x)
            out[n, c, p, q] = total / max(rows * columns, 1)
    return out


def forward(features, rois, bins, scale=1.0, ratio=0, aligned=True, pool_mode=1):
    out = features.new_full((len(rois), features.shape[1], *bins), 7.0)
    module.roi_align_forward(features, rois, out, NOTHING, NOTHING, *bins, scale, ratio, pool_mode, aligned)
    return out


def backward(grad, rois, shape, bins, scale=1.0, ratio=0, aligned=True, pool_mode=1):
    grad_input = grad.new_zeros(shape)
    module.roi_align_backward(
        grad, rois, NOTHING, NOTHING, grad_input, *bins, scale, ratio, pool_mode, aligned
    )
    return grad_input


@st.composite
def cases(draw):
    seed = draw(st.integers(0, 2**31))
    generator = torch.Generator().manual_seed(seed)
    batch, height, width, n = (draw(st.integers(*r)) for r in ((1, 2), (1, 6), (1, 6), (0, 4)))
    features = torch.randn(batch, 2, height, width, generator=generator, dtype=torch.float64)
    low = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 30 - 8
    size = torch.rand(n, 2, generator=generator, dtype=torch.float64) * draw(
        st.sampled_from([0.0, 3.0, 20.0, -6.0])
    )
    image = torch.randint(batch, (n, 1), generator=generator).double()
    rois = torch.cat([image, low, low + size], 1)
    bins = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    options = {
        "scale": draw(st.sampled_from([1.0, 0.5, 0.25])),
        "ratio": draw(st.sampled_from([-1, 0, 1, 2, 3])),
        "aligned": draw(st.booleans()),
    }
    return features, rois, bins, options


@given(cases())
@settings(max_examples=60, deadline=None)
def test_forward_equals_the_loop(case):
    features, rois, bins, options = case
    expected = loop(features.numpy(), rois.tolist(), bins, **options)
    np.testing.assert_allclose(forward(features, rois, bins, **options), expected, atol=1e-10)
    single = forward(features.float(), rois.float(), bins, ratio=2, scale=1.0)
    np.testing.assert_allclose(single, forward(features, rois, bins, ratio=2, scale=1.0), atol=1e-4)


@given(cases())
@settings(max_examples=40, deadline=None)
def test_backward_is_the_transpose_of_forward(case):
    """Forward is linear in the features, so <forward(f), g> = <f, backward(g)> for all f and g."""
    features, rois, bins, options = case
    out = forward(features, rois, bins, **options)
    grad = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    back = backward(grad, rois, features.shape, bins, **options)
    torch.testing.assert_close((out * grad).sum(), (features * back).sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_gradcheck(aligned, ratio):
    class Pool(torch.autograd.Function):
        @staticmethod
        def forward(ctx, features, rois):
            ctx.rois, ctx.shape = rois, features.shape
            return forward(features, rois, (2, 3), 0.5, ratio, aligned)

        @staticmethod
        def backward(ctx, grad):
            return backward(grad, ctx.rois, ctx.shape, (2, 3), 0.5, ratio, aligned), None

    features = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 1.0, 2, 6, 9], [1, -3, 0.5, 3, 4], [1, 2, 2, 30, 40]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: Pool.apply(f, rois), features)


def test_rois_that_are_too_many_for_one_part_give_the_same_as_alone():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(2, 1024, 9, 11, generator=draw, dtype=torch.float64)
    low = torch.rand(40, 2, generator=draw) * 9
    rois = torch.cat([torch.arange(40)[:, None] % 2, low, low + torch.rand(40, 2, generator=draw) * 9], 1)
    alone = [forward(features, roi[None].double(), (3, 2)) for roi in rois]
    torch.testing.assert_close(forward(features, rois.double(), (3, 2)), torch.cat(alone))


def test_rois_outside_or_not_finite_pool_to_zero():
    features = torch.ones(1, 1, 4, 4)
    far = [0.0, 50.0, 50.0, 60.0, 60.0]
    rois = torch.tensor([far, [0, math.nan, 0, 2, 2], [0, 0, 0, math.inf, 2], [0, 0, 0, 4, 4]])
    out = forward(features, rois, (2, 2))
    assert out[:3].eq(0).all()
    torch.testing.assert_close(out[3], torch.ones(1, 2, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    features = torch.randn(1, 3, 8, 8).to(dtype)
    rois = torch.tensor([[0.0, 1, 1, 6, 7]])
    expected = forward(features.float(), rois, (2, 2))
    torch.testing.assert_close(forward(features, rois.to(dtype), (2, 2)), expected.to(dtype))
    grad = backward(torch.ones(1, 3, 2, 2, dtype=dtype), rois, features.shape, (2, 2))
    assert grad.dtype == dtype
    assert float(grad.sum()) == pytest.approx(12, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    features, rois = torch.randn(1, 3, 8, 8).to(dtype), torch.tensor([[0.0, 1, 1, 6, 7]])
    out = forward(features, rois, (2, 2))
    back = backward(out, rois, features.shape, (2, 2))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(forward(features, rois, (2, 2)), out)
        assert torch.equal(backward(out, rois, features.shape, (2, 2)), back)


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_reversed_rois_are_read_backwards(ratio):
    """A RoI given from its far corner holds the same bins in the other order."""
    features = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    rois = torch.tensor([[0.0, 1, 0.5, 5, 4], [0, -3, 2, 9, 3], [0, 2, 1, 2, 5]], dtype=torch.float64)
    straight = forward(features, rois, (2, 3), ratio=ratio)
    for swapped, axes in (([0, 3, 2, 1, 4], [3]), ([0, 1, 4, 3, 2], [2]), ([0, 3, 4, 1, 2], [2, 3])):
        turned = rois[:, swapped]
        torch.testing.assert_close(forward(features, turned, (2, 3), ratio=ratio), straight.flip(axes))
        grad = torch.randn(straight.shape, dtype=torch.float64)
        back = backward(grad, turned, features.shape, (2, 3), ratio=ratio)
        torch.testing.assert_close(back, backward(grad.flip(axes), rois, features.shape, (2, 3), ratio=ratio))


def test_reversed_rois_without_a_fixed_number_of_points_pool_to_zero():
    features = torch.ones(1, 1, 6, 6)
    rois = torch.tensor([[0.0, 4, 1, 1, 5], [0, 1, 5, 4, 1], [0, 4, 5, 1, 1], [0, 1, 1, 4, 5]])
    out = forward(features, rois, (2, 2))
    assert out[:3].eq(0).all()
    assert out[3].eq(1).all()
    grad = backward(torch.ones_like(out)[:3], rois[:3], features.shape, (2, 2))
    assert grad.eq(0).all()


def test_reversed_rois_of_the_old_alignment_are_one_cell_large():
    features = torch.randn(1, 1, 6, 6)
    turned, whole = torch.tensor([[0.0, 3, 4, 1, 2]]), torch.tensor([[0.0, 3, 4, 4, 5]])
    out = forward(features, turned, (2, 2), ratio=2, aligned=False)
    torch.testing.assert_close(out, forward(features, whole, (2, 2), ratio=2, aligned=False))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_equals_cpu():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(2, 8, 20, 30, generator=draw)
    low = torch.rand(64, 2, generator=draw) * 60
    rois = torch.cat([torch.arange(64)[:, None] % 2, low, low + torch.rand(64, 2, generator=draw) * 90], 1)
    on_cpu = forward(features, rois, (7, 7), 0.25)
    torch.testing.assert_close(forward(features.cuda(), rois.cuda(), (7, 7), 0.25).cpu(), on_cpu)
    grad = backward(on_cpu, rois, features.shape, (7, 7), 0.25)
    on_gpu = backward(on_cpu.cuda(), rois.cuda(), features.shape, (7, 7), 0.25)
    torch.testing.assert_close(on_gpu.cpu(), grad, atol=1e-4, rtol=1e-4)
