"""BorderAlign against a direct loop over points, and its gradient against numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported

BOXES = [[[0.5, 1.0, 6.5, 4.25], [-3.0, -0.5, 2.0, 9.0]], [[3.0, 3.0, 3.0, 3.0], [6.0, 4.0, 1.0, 2.0]]]


def read(plane: np.ndarray, y: float, x: float) -> float:
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = plane[top, left] * (1 - x + left) + plane[top, right] * (x - left)
    lower = plane[bottom, left] * (1 - x + left) + plane[bottom, right] * (x - left)
    return float(upper * (1 - y + top) + lower * (y - top))


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_borders_are_as_defined(steps):
    from mmcv.ops import border_align

    features = np.random.default_rng(0).normal(size=(2, 12, 6, 8))
    ours = border_align(torch.from_numpy(features), torch.tensor(BOXES, dtype=torch.float64), steps)
    for b, c, k in np.ndindex(2, 3, 2):
        x1, y1, x2, y2 = BOXES[b][k]
        w, h = (x2 - x1) / steps, (y2 - y1) / steps
        lines = [
            [(x1 + i * w, y1) for i in range(steps + 1)],
            [(x1, y1 + i * h) for i in range(steps + 1)],
            [(x2 - i * w, y2) for i in range(steps + 1)],
            [(x2, y2 - i * h) for i in range(steps + 1)],
        ]
        for side, line in enumerate(lines):
            expected = max(read(features[b, 3 * side + c], y, x) for x, y in line)
            assert ours[b, c, k, side].item() == pytest.approx(expected, abs=1e-12)


def test_gradient():
    from mmcv.ops import border_align

    features = torch.randn(2, 8, 6, 8, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor(BOXES, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: border_align(x, boxes, 4), (features,), eps=1e-7)
