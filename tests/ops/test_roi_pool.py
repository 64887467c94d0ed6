"""RoIPool against a direct loop over bins, and its gradient against numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported

ROIS = [[0, 0, 0, 9, 7], [1, 2.5, 1, 30, 6], [0, -6, -6, -3, -3], [1, 5, 5, 2, 2], [0, 7, 6, 7, 6]]


def loop(features: np.ndarray, rois: list[list[float]], bins: tuple[int, int], scale: float) -> np.ndarray:
    out = np.zeros((len(rois), features.shape[1], *bins))
    height, width = features.shape[2:]
    for n, (image, x1, y1, x2, y2) in enumerate(rois):
        low, size = (x1 * scale, y1 * scale), ((x2 + 1 - x1) * scale, (y2 + 1 - y1) * scale)
        if min(size) <= 0:
            continue
        for p, q in np.ndindex(*bins):
            left, right = (
                math.floor(low[0] + q * size[0] / bins[1]),
                math.ceil(low[0] + (q + 1) * size[0] / bins[1]),
            )
            top, bottom = (
                math.floor(low[1] + p * size[1] / bins[0]),
                math.ceil(low[1] + (p + 1) * size[1] / bins[0]),
            )
            left, right = (min(max(edge, 0), width) for edge in (left, right))
            top, bottom = (min(max(edge, 0), height) for edge in (top, bottom))
            if left < right and top < bottom:
                out[n, :, p, q] = features[int(image), :, top:bottom, left:right].max((1, 2))
    return out


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), *[st.integers(-40, 120)] * 4), min_size=1, max_size=4),
    st.sampled_from([1.0, 0.5, 0.25]),
    st.sampled_from([(1, 1), (2, 3), (7, 7)]),
)
def test_bins_are_as_defined(corners, scale, bins):
    from mmcv.ops import roi_pool

    features = np.random.default_rng(0).normal(size=(2, 3, 8, 10))
    rois = [[image, *(corner / 4 for corner in four)] for image, *four in corners]
    ours = roi_pool(torch.from_numpy(features), torch.tensor(rois, dtype=torch.float64), bins, scale)
    np.testing.assert_array_equal(ours.numpy(), loop(features, rois, bins, scale))


@pytest.mark.parametrize("bins", [(1, 1), (2, 3)])
def test_gradient(bins):
    from mmcv.ops import roi_pool

    features = torch.randn(2, 2, 8, 10, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor(ROIS, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: roi_pool(x, rois, bins, 1.0), (features,), eps=1e-7)
