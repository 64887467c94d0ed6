"""The stand-in's CARAFE against a direct loop, and its gradients against numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet import ops
from deeplake_mmdet.ops import carafe as module


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    ops.install()
    import mmcv.ops  # noqa: F401

    if ops.in_use() == "compiled":
        pytest.skip("compiled mmcv ops are installed here")


def loop(features: np.ndarray, masks: np.ndarray, kernel: int, groups: int, scale: int) -> np.ndarray:
    batch, channels, height, width = features.shape
    out = np.zeros((batch, channels, height * scale, width * scale))
    for n, c, y, x in np.ndindex(out.shape):
        for i, j in np.ndindex(kernel, kernel):
            row, column = y // scale + i - kernel // 2, x // scale + j - kernel // 2
            if 0 <= row < height and 0 <= column < width:
                tap = (c // (channels // groups) * kernel + i) * kernel + j
                out[n, c, y, x] += features[n, c, row, column] * masks[n, tap, y, x]
    return out


def drawn(seed, batch, channels, height, width, kernel, groups, scale):
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, channels * groups, height, width, generator=draw, dtype=torch.float64)
    shape = (batch, groups * kernel**2, height * scale, width * scale)
    return features, torch.randn(shape, generator=draw, dtype=torch.float64)


@given(
    seed=st.integers(0, 2**31), batch=st.integers(1, 2), channels=st.integers(1, 3),
    height=st.integers(1, 4), width=st.integers(1, 4), kernel=st.sampled_from([1, 3, 5]),
    groups=st.integers(1, 2), scale=st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_forwards_equal_the_loop(seed, batch, channels, height, width, kernel, groups, scale):
    from mmcv.ops import carafe, carafe_naive

    features, masks = drawn(seed, batch, channels, height, width, kernel, groups, scale)
    expected = loop(features.numpy(), masks.numpy(), kernel, groups, scale)
    np.testing.assert_allclose(carafe(features, masks, kernel, groups, scale), expected, atol=1e-10)
    np.testing.assert_allclose(carafe_naive(features, masks, kernel, groups, scale), expected, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("scale", [1, 2])
def test_gradcheck_and_both_backwards_agree(groups, scale):
    from mmcv.ops import carafe

    features, masks = (x.requires_grad_() for x in drawn(0, 2, 2, 3, 4, 3, groups, scale))
    assert torch.autograd.gradcheck(lambda f, m: carafe(f, m, 3, groups, scale), (features, masks))

    out = carafe(features, masks, 3, groups, scale)
    above = torch.randn_like(out)
    naive = torch.zeros_like(features), torch.zeros_like(masks)
    module.carafe_naive_backward(above, features, masks, *naive, 3, groups, scale)
    torch.testing.assert_close(torch.autograd.grad(out, [features, masks], above), naive)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    from mmcv.ops import carafe

    half = [x.to(dtype).requires_grad_() for x in drawn(0, 1, 2, 4, 4, 3, 1, 2)]
    exact = [x.detach().float() for x in half]
    out = carafe(*half, 3, 1, 2)
    torch.testing.assert_close(out, carafe(*exact, 3, 1, 2).to(dtype))
    out.sum().backward()
    assert all(x.grad.dtype == dtype for x in half)


def test_the_upsampler_trains():
    from mmcv.ops.carafe import CARAFEPack

    torch.manual_seed(0)
    upsample = CARAFEPack(8, 2, compressed_channels=4)
    image = torch.rand(2, 8, 5, 6, requires_grad=True)
    out = upsample(image)
    assert out.shape == (2, 8, 10, 12)
    out.square().mean().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is not None for p in upsample.parameters())
    assert upsample.content_encoder.weight.grad.abs().sum() > 0
