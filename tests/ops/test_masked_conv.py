"""Convolution at the cells of a mask gives what a whole convolution gives there, and 0 elsewhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from deeplake_mmdet import ops


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    ops.install()
    import mmcv.ops  # noqa: F401

    if ops.in_use() == "compiled":
        pytest.skip("compiled mmcv ops are installed here")


# What mmcv calls in its own wrapper.
@pytest.mark.filterwarnings("ignore:This overload of addmm is deprecated")
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), kernel=st.sampled_from([1, 3, 5]), share=st.sampled_from([0, 0.3, 1]))
def test_a_mask_leaves_the_others_zero(seed, kernel, share):
    from mmcv.ops import masked_conv2d

    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, 3, 7, 9, generator=generator)
    weight = torch.randn(4, 3, kernel, kernel, generator=generator)
    bias = torch.randn(4, generator=generator)
    mask = (torch.rand(1, 7, 9, generator=generator) < share).float()
    expected = functional.conv2d(features, weight, bias, padding=kernel // 2) * mask
    found = masked_conv2d(features, mask, weight, bias, kernel // 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
