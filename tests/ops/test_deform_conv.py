"""The stand-in's deformable convolutions against a direct loop, plain convolution, and numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet import ops
from deeplake_mmdet.ops import deform_conv as module


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    ops.install()
    import mmcv.ops  # noqa: F401

    if ops.in_use() == "compiled":
        pytest.skip("compiled mmcv ops are installed here")


def read(plane: np.ndarray, y: float, x: float) -> float:
    """Bilinear value of one channel, with zeros for what lies outside."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += plane[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def loop(images, offset, mask, weight, bias, stride, padding, dilation, groups, blocks) -> np.ndarray:
    """The definition, one product at a time."""
    kernels, per_group, rows, columns = weight.shape
    out = np.zeros((len(images), kernels, *offset.shape[2:]))
    for n, o, p, q in np.ndindex(out.shape):
        for c, i, j in np.ndindex(per_group, rows, columns):
            channel = o // (kernels // groups) * per_group + c
            point = (channel // (images.shape[1] // blocks) * rows + i) * columns + j
            y = p * stride[0] - padding[0] + i * dilation[0] + offset[n, 2 * point, p, q]
            x = q * stride[1] - padding[1] + j * dilation[1] + offset[n, 2 * point + 1, p, q]
            out[n, o, p, q] += weight[o, c, i, j] * mask[n, point, p, q] * read(images[n, channel], y, x)
        out[n, o, p, q] += bias[o]
    return out


def drawn(seed, batch, groups, blocks, kernel, size, stride, padding, dilation, reach=2.0):
    """Random tensors of one convolution, float64: images, offset, mask, weight, bias."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    channels = 2 * math.lcm(groups, blocks)
    out = [(size[k] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1 for k in (0, 1)]
    points = blocks * kernel[0] * kernel[1]
    return (
        normal(batch, channels, *size),
        normal(batch, 2 * points, *out) * reach,
        normal(batch, points, *out),
        normal(2 * groups, channels // groups, *kernel),
        normal(2 * groups),
    )


pairs = st.tuples(st.integers(1, 2), st.integers(1, 2))


@st.composite
def cases(draw):
    geometry = {
        "stride": draw(pairs),
        "padding": (draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        "dilation": draw(pairs),
    }
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 3)]))
    size = tuple(draw(st.integers(1 + geometry["dilation"][k] * (kernel[k] - 1), 6)) for k in (0, 1))
    groups, blocks = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2]))
    tensors = drawn(
        draw(st.integers(0, 2**31)), draw(st.integers(1, 2)), groups, blocks, kernel, size, **geometry
    )
    return tensors, (*geometry.values(), groups, blocks)


@given(cases())
@settings(max_examples=50, deadline=None)
def test_both_forwards_equal_the_loop(case):
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    (images, offset, mask, weight, bias), geometry = case
    arrays = [x.numpy() for x in (images, offset, mask, weight, bias)]
    got = modulated_deform_conv2d(images, offset, mask, weight, bias, *geometry)
    np.testing.assert_allclose(got, loop(*arrays, *geometry), atol=1e-10)
    plain = deform_conv2d(images, offset, weight, *geometry)
    arrays[2], arrays[4] = np.ones_like(arrays[2]), np.zeros_like(arrays[4])
    np.testing.assert_allclose(plain, loop(*arrays, *geometry), atol=1e-10)
    single = modulated_deform_conv2d(*(x.float() for x in (images, offset, mask, weight, bias)), *geometry)
    torch.testing.assert_close(single.double(), got, atol=1e-4, rtol=1e-4)


@given(cases())
@settings(max_examples=30, deadline=None)
def test_without_offsets_it_is_the_plain_convolution(case):
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    (images, offset, mask, weight, bias), geometry = case
    stride, padding, dilation, groups, _ = geometry
    leaves = [images.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()]
    expected = torch.nn.functional.conv2d(images, weight, bias, stride, padding, dilation, groups)
    still, whole = torch.zeros_like(offset), torch.ones_like(mask)
    got = modulated_deform_conv2d(images, still, whole, weight, bias, *geometry)
    torch.testing.assert_close(got, expected)
    above = torch.randn_like(expected)
    grads = torch.autograd.grad(expected, leaves, above)
    torch.testing.assert_close(torch.autograd.grad(got, leaves, above), grads)
    plain = deform_conv2d(images, still, weight, *geometry)
    torch.testing.assert_close(torch.autograd.grad(plain, leaves[:2], above), grads[:2])


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("blocks", [1, 2])
def test_gradcheck(groups, blocks):
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    geometry = ((2, 1), (1, 2), (1, 2))
    tensors = drawn(groups, 2, groups, blocks, (2, 2), (4, 3), *geometry)
    images, offset, mask, weight, bias = (x.requires_grad_() for x in tensors)

    def modulated(*given):
        return modulated_deform_conv2d(*given, *geometry, groups, blocks)

    def plain(*given):
        return deform_conv2d(*given, *geometry, groups, blocks)

    assert torch.autograd.gradcheck(modulated, (images, offset, mask, weight, bias))
    assert torch.autograd.gradcheck(lambda *g: modulated(*g, None), (images, offset, mask, weight))
    assert torch.autograd.gradcheck(plain, (images, offset, weight))


def test_points_on_the_edge_far_away_or_nan_read_nothing_and_move_nothing():
    """At -1 and at the map's height a point counts as outside, so its offset has no gradient."""
    from mmcv.ops import modulated_deform_conv2d

    images = torch.ones(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    offset = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
    offset[0, 0] = torch.tensor([[-1.0, 3.0, 1e30], [math.nan, -math.inf, -3.0], [0.0, 1.0, -2.5]])
    offset.requires_grad_()
    mask = torch.ones(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    out = modulated_deform_conv2d(images, offset, mask, torch.ones(1, 1, 1, 1, dtype=torch.float64))
    expected = torch.tensor([[0.0, 0, 0], [0, 0, 0], [1, 0, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(out[0, 0], expected)
    out.sum().backward()
    torch.testing.assert_close(mask.grad[0, 0], expected)
    moved = torch.tensor([[0.0, 0, 0], [0, 0, 0], [-1, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(offset.grad[0, 0], moved)
    assert images.grad.sum() == 1.5


def test_gradient_buffers_are_summed_into_and_scaled():
    images, offset, _, weight, _ = drawn(0, 2, 1, 1, (3, 3), (5, 5), (1, 1), (1, 1), (1, 1))
    above = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    none = torch.zeros(0)

    def parameters(start, scale):
        buffer = torch.full_like(weight, start)
        module.deform_conv_backward_parameters(
            images, offset, above, buffer, none, none, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, scale, 2
        )
        return buffer

    torch.testing.assert_close(parameters(3.0, 0.5), 3 + 0.5 * parameters(0.0, 1))

    def inputs(start):
        buffers = torch.full_like(images, start), torch.full_like(offset, start)
        module.deform_conv_backward_input(
            images, offset, above, *buffers, weight, none, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2
        )
        return buffers

    torch.testing.assert_close(inputs(3.0)[0], 3 + inputs(0.0)[0])
    torch.testing.assert_close(inputs(3.0)[1], inputs(0.0)[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    from mmcv.ops import modulated_deform_conv2d

    tensors = drawn(1, 2, 1, 2, (3, 3), (6, 6), (1, 1), (1, 1), (1, 1))
    half = [x.to(dtype).requires_grad_() for x in tensors]
    exact = [x.detach().float().requires_grad_() for x in half]
    geometry = (1, 1, 1, 1, 2)
    got, expected = modulated_deform_conv2d(*half, *geometry), modulated_deform_conv2d(*exact, *geometry)
    torch.testing.assert_close(got, expected.to(dtype))
    got.sum().backward()
    expected.sum().backward()
    for some, other in zip(half, exact, strict=True):
        assert some.grad.dtype == dtype
        torch.testing.assert_close(some.grad.float(), other.grad, atol=0.1, rtol=0.02)


def test_trains_under_autocast():
    from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack

    for layer in (DeformConv2dPack(4, 4, 3), ModulatedDeformConv2dPack(4, 4, 3)):
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(torch.rand(1, 4, 8, 8))
        out.float().square().sum().backward()
        assert out.dtype == torch.bfloat16
        assert layer.weight.grad.abs().sum() > 0


def test_equals_torchvision():
    reference = pytest.importorskip("torchvision.ops").deform_conv2d
    from mmcv.ops import modulated_deform_conv2d

    images, offset, mask, weight, bias = drawn(2, 2, 2, 2, (3, 3), (7, 6), (2, 1), (1, 1), (1, 2))
    expected = reference(images, offset, weight, bias, (2, 1), (1, 1), (1, 2), mask)
    got = modulated_deform_conv2d(images, offset, mask, weight, bias, (2, 1), 1, (1, 2), 2, 2)
    torch.testing.assert_close(got, expected)


def test_offsets_and_masks_of_a_larger_map_are_read_in_the_order_of_memory():
    """The compiled op counts on through each image's values; DyHead relies on it."""
    from mmcv.ops import modulated_deform_conv2d

    images, offset, mask, weight, bias = drawn(4, 2, 1, 2, (3, 3), (4, 4), (1, 1), (1, 1), (1, 1))
    wide = [torch.randn(2, x.shape[1], 8, 8, dtype=torch.float64) for x in (offset, mask)]
    with torch.no_grad():
        for whole, x in zip(wide, (offset, mask), strict=True):
            whole.flatten(1)[:, : x[0].numel()] = x.flatten(1)
    leaves = [x.requires_grad_() for x in (offset, mask, *wide)]
    expected = modulated_deform_conv2d(images, offset, mask, weight, bias, 1, 1, 1, 1, 2)
    got = modulated_deform_conv2d(images, *wide, weight, bias, 1, 1, 1, 1, 2)
    torch.testing.assert_close(got, expected)
    (got.square().sum() + expected.square().sum()).backward()
    for narrow, whole in zip(leaves[:2], leaves[2:], strict=True):
        filled = narrow.grad[0].numel()
        torch.testing.assert_close(whole.grad.flatten(1)[:, :filled], narrow.grad.flatten(1))
        assert whole.grad.flatten(1)[:, filled:].eq(0).all()


def test_shapes_that_do_not_fit_are_told():
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    images, weight = torch.zeros(1, 2, 5, 5), torch.zeros(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"offset has the shape \(1, 9, 3, 3\), not \(1, 18, 3, 3\)"):
        deform_conv2d(images, torch.zeros(1, 9, 3, 3), weight)
    with pytest.raises(ValueError, match="mask has the shape"):
        modulated_deform_conv2d(images, torch.zeros(1, 18, 3, 3), torch.zeros(1, 9, 2, 3), weight)
    with pytest.raises(ValueError, match="2 channels do not fit"):
        deform_conv2d(images, torch.zeros(1, 18, 3, 3), torch.zeros(1, 3, 3, 3))


@pytest.mark.parametrize("kind", ["DCN", "DCNv2"])
def test_a_detectors_backbone_with_deformable_stages_trains(kind):
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules

    register_all_modules()
    torch.manual_seed(0)
    backbone = MODELS.build(
        {
            "type": "ResNet", "depth": 50, "base_channels": 8, "stem_channels": 8,
            "dcn": {"type": kind, "deform_groups": 1, "fallback_on_stride": False},
            "stage_with_dcn": (False, False, False, True), "norm_eval": False,
        }
    )  # fmt: skip
    backbone.train()
    backbone(torch.rand(2, 3, 64, 64))[-1].square().mean().backward()
    packs = [m for m in backbone.modules() if hasattr(m, "conv_offset")]
    assert len(packs) == 3
    for pack in packs:
        assert pack.weight.grad.abs().sum() > 0
        assert pack.conv_offset.weight.grad.abs().sum() > 0
