"""RoIAlign by the maximum, through mmcv's own function, against a direct loop and against numbers."""

from __future__ import annotations

import math

import numpy as np
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


def read(plane: np.ndarray, y: float, x: float) -> float:
    """Bilinear value at a point; 0 more than one cell outside."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    rows = np.maximum(0, 1 - abs(np.arange(height) - y))
    return float(rows @ plane @ np.maximum(0, 1 - abs(np.arange(width) - x)))


def loop(features, rois, bins, scale, ratio, aligned) -> np.ndarray:
    """The definition: the largest of the points of each bin."""
    out = np.full((len(rois), features.shape[1], *bins), np.finfo(np.float32).min, dtype=np.float64)
    for n, (image, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (c * scale - (0.5 if aligned else 0) for c in corners)
        w, h = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1), max(y2 - y1, 1))
        rows, columns = (ratio, ratio) if ratio > 0 else (math.ceil(h / bins[0]), math.ceil(w / bins[1]))
        for c, p, q in np.ndindex(out.shape[1:]):
            for i, j in np.ndindex(max(rows, 0), max(columns, 0)):
                y = y1 + (p + (i + 0.5) / rows) * h / bins[0]
                x = x1 + (q + (j + 0.5) / columns) * w / bins[1]
                out[n, c, p, q] = max(out[n, c, p, q], read(features[int(image), c], y, x))
    return out


@given(
    seed=st.integers(0, 2**31), height=st.integers(1, 6), width=st.integers(1, 6), n=st.integers(0, 4),
    reach=st.sampled_from([0.0, 3.0, 20.0, -6.0]), bins=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    scale=st.sampled_from([1.0, 0.25]), ratio=st.integers(-1, 3), aligned=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_forward_equals_the_loop(seed, height, width, n, reach, bins, scale, ratio, aligned):
    from mmcv.ops import roi_align

    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 2, height, width, generator=draw, dtype=torch.float64)
    low = torch.rand(n, 2, generator=draw, dtype=torch.float64) * 30 - 8
    image = torch.randint(2, (n, 1), generator=draw).double()
    rois = torch.cat([image, low, low + torch.rand(n, 2, generator=draw, dtype=torch.float64) * reach], 1)
    got = roi_align(features, rois, bins, scale, ratio, "max", aligned)
    expected = loop(features.numpy(), rois.tolist(), bins, scale, ratio, aligned)
    np.testing.assert_allclose(got, expected, atol=1e-10)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_gradcheck(aligned, ratio):
    from mmcv.ops import roi_align

    draw = torch.Generator().manual_seed(1)
    features = torch.randn(2, 2, 5, 4, generator=draw, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 1.1, 2, 6, 9.3], [1, -0.9, 0.3, 3.2, 4], [1, 7.7, 6, 1, 2]], dtype=torch.float64)
    if ratio == 0:
        rois = rois[:2]
    pooled = lambda f: roi_align(f, rois, (2, 3), 0.5, ratio, "max", aligned)  # noqa: E731
    assert torch.autograd.gradcheck(pooled, features)


def test_half_precision_and_corners_that_are_not_finite():
    from mmcv.ops import roi_align

    features = torch.rand(1, 3, 8, 8).half().requires_grad_()
    rois = torch.tensor([[0.0, 1, 1, 6, 7], [0, math.nan, 1, 2, 2]]).half()
    out = roi_align(features, rois, (2, 2), 1.0, 2, "max", True)
    assert out.dtype == torch.float16
    assert out[1].eq(0).all()
    out.sum().backward()
    assert float(features.grad.sum()) == pytest.approx(12, rel=0.02)
