"""Deformable convolution, with and without modulation, in torch, forward and backward.

The operations are those of Dai et al., Deformable Convolutional Networks (2017), and of Zhu et al.,
Deformable ConvNets v2 (2019): each tap of a kernel reads the map at its regular place plus an offset of its
own, by bilinear interpolation, and the second multiplies it by a mask. Cells outside the map are 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "deform_conv_backward_input",
    "deform_conv_backward_parameters",
    "deform_conv_forward",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
]


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Write the modulated deformable convolution of ``input`` into ``output``.

    Args:
        input: Shape (B, C, H, W); any float type, any device. Half precision is computed in float32.
        weight: Shape (O, C / group, kernel_h, kernel_w).
        bias: Shape (O,), read only if ``with_bias``.
        ones: Unused, a buffer of the compiled op.
        offset: Shape (B, 2 · deformable_group · kernel_h · kernel_w, H', W'), in cells: y, x of each tap.
        mask: Shape (B, deformable_group · kernel_h · kernel_w, H', W'), a factor for each tap.
        output: Shape (B, O, H', W'), overwritten.
        columns: Unused, a buffer of the compiled op.
        kernel_h: Taps in y.
        kernel_w: Taps in x.
        stride_h: Cells between neighbouring outputs in y.
        stride_w: The same in x.
        pad_h: Cells of 0 around the map in y.
        pad_w: The same in x.
        dilation_h: Cells between neighbouring taps in y.
        dilation_w: The same in x.
        group: Blocks of channels that are convolved apart.
        deformable_group: Blocks of channels with offsets and masks of their own.
        with_bias: Whether to add ``bias``.

    A point is read where -1 < y < H and -1 < x < W; elsewhere, and where it is NaN, it counts as 0. Offsets
    and masks of a larger map than the output are read as the compiled op reads them: the first values of
    each image, in the order of memory. DyHead hands in such, and its published weights were trained so.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    grid = _Grid((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    _forward(_Tensors(input, offset, weight, mask, bias if with_bias else None), output, grid)


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Add to the gradients of ``input``, ``weight`` and ``bias``; overwrite those of ``offset`` and ``mask``.

    See `modulated_deform_conv_forward` for the other arguments; ``grad_output`` has the shape of its
    output. The caller hands in zeros for ``grad_input``.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    grid = _Grid((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    given = _Tensors(input, offset, weight, mask, bias if with_bias else None)
    grads = _Tensors(grad_input, grad_offset, grad_weight, grad_mask, grad_bias if with_bias else None)
    _backward(given, grad_output, grads, grid)


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Write the deformable convolution of ``input`` into ``output``.

    Args:
        input: Shape (B, C, H, W); any float type, any device. Half precision is computed in float32.
        weight: Shape (O, C / group, kH, kW).
        offset: Shape (B, 2 · deformable_group · kH · kW, H', W'), in cells: y, x of each tap.
        output: Shape (B, O, H', W'), overwritten.
        columns: Unused, a buffer of the compiled op.
        ones: Unused, a buffer of the compiled op.
        kW: Taps in x.
        kH: Taps in y.
        dW: Cells between neighbouring outputs in x.
        dH: The same in y.
        padW: Cells of 0 around the map in x.
        padH: The same in y.
        dilationW: Cells between neighbouring taps in x.
        dilationH: The same in y.
        group: Blocks of channels that are convolved apart.
        deformable_group: Blocks of channels with offsets of their own.
        im2col_step: Unused: images are taken one by one, which changes no result.

    A point is read where -1 < y < H and -1 < x < W; elsewhere, and where it is NaN, it counts as 0.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    grid = _Grid((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    _forward(_Tensors(input, offset, weight), output, grid)


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Add the gradient of ``input`` to ``gradInput`` and write that of ``offset`` into ``gradOffset``.

    See `deform_conv_forward` for the other arguments; ``gradOutput`` has the shape of its output.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    grid = _Grid((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    _backward(_Tensors(input, offset, weight), gradOutput, _Tensors(gradInput, gradOffset), grid)


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add ``scale`` times the gradient of the weight to ``gradWeight``.

    See `deform_conv_forward` for the other arguments; ``gradOutput`` has the shape of its output.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    grid = _Grid((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    # The weight is not handed in, and its gradient does not depend on it.
    given = _Tensors(input, offset, torch.zeros_like(gradWeight))
    _backward(given, gradOutput, _Tensors(weight=gradWeight), grid, scale)


@dataclass(frozen=True)
class _Grid:
    """Where a kernel's taps lie; pairs are y, x, in cells."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    deform_groups: int


@dataclass(frozen=True)
class _Tensors:
    """What is convolved, or the gradients of it; ``None`` is not there, or not asked for."""

    input: Tensor | None = None
    offset: Tensor | None = None
    weight: Tensor | None = None
    mask: Tensor | None = None
    bias: Tensor | None = None

    def row(self, index: int) -> _Tensors:
        """Return the part of one image."""
        input, offset, mask = (None if x is None else x[index] for x in (self.input, self.offset, self.mask))
        return replace(self, input=input, offset=offset, mask=mask)

    def listed(self) -> list[Tensor | None]:
        return [self.input, self.offset, self.weight, self.mask, self.bias]


def _forward(given: _Tensors, output: Tensor, grid: _Grid) -> None:
    _check(given, output, grid)
    with torch.no_grad(), torch.autocast(output.device.type, enabled=False):
        for index in range(len(output)):
            output[index].copy_(_convolve(_computed(given.row(index)), grid))


def _backward(given: _Tensors, grad_output: Tensor, grads: _Tensors, grid: _Grid, scale: float = 1.0) -> None:
    _check(given, grad_output, grid)
    for index in range(len(grad_output)):
        into = grads.row(index).listed()
        with torch.enable_grad(), torch.autocast(grad_output.device.type, enabled=False):
            leaves = [
                x if x is None or to is None else x.requires_grad_()
                for x, to in zip(_computed(given.row(index)), into, strict=True)
            ]
            out = _convolve(leaves, grid)
            asked = [x for x, to in zip(leaves, into, strict=True) if x is not None and to is not None]
            found = torch.autograd.grad(out, asked, grad_output[index].to(out.dtype))
        buffers = [to for to in into if to is not None]
        for to, grad in zip(buffers, found, strict=True):
            # As in the compiled op: an image's offsets and masks are written, all else is summed.
            if to is into[1] or to is into[3]:
                to.copy_(grad)
            else:
                to.add_(grad.to(to.dtype), alpha=scale)


def _computed(given: _Tensors) -> list[Tensor | None]:
    """Detach, in the type that is computed in."""
    return [
        None if x is None else x.detach().to(torch.float64 if x.dtype == torch.float64 else torch.float32)
        for x in given.listed()
    ]


def _convolve(given: list[Tensor | None], grid: _Grid) -> Tensor:
    """Convolve one image, (C, H, W), to (O, H', W')."""
    image, offset, weight, mask, bias = given
    assert image is not None
    assert offset is not None
    assert weight is not None
    channels, height, width = image.shape
    blocks, taps = grid.deform_groups, weight.shape[2] * weight.shape[3]
    size = _output_size(grid, image, weight)
    points = blocks * taps * size[0] * size[1]
    moved = offset.reshape(-1)[: 2 * points].view(blocks, weight.shape[2], weight.shape[3], 2, *size)
    y = moved[:, :, :, 0] + _places(grid, 0, weight.shape[2], size[0], offset)[:, None, :, None]
    x = moved[:, :, :, 1] + _places(grid, 1, weight.shape[3], size[1], offset)[None, :, None, :]
    inside = (y > -1) & (y < height) & (x > -1) & (x < width)
    outside = y.new_full((), -1.0)
    y, x = y.where(inside, outside), x.where(inside, outside)

    # A frame of zeros one cell wide holds every neighbour of a point that counts.
    framed = functional.pad(image, (1, 1, 1, 1)).view(blocks, channels // blocks, -1)
    cells = framed.transpose(1, 2).reshape(-1, channels // blocks)
    top, left = y.floor(), x.floor()
    down, right = y - top, x - left
    block = torch.arange(blocks, device=y.device)[:, None, None, None, None]
    first = (block * (height + 2) + top.long() + 1) * (width + 2) + left.long() + 1
    near = torch.stack([first, first + 1, first + width + 2, first + width + 3], -1)
    shares = torch.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], -1)
    if mask is not None:
        shares = shares * mask.reshape(-1)[:points].view(*y.shape, 1)
    read = functional.embedding_bag(
        near.view(-1, 4), cells, mode="sum", per_sample_weights=shares.reshape(-1, 4)
    )
    # (blocks, taps, places, channels of a block) -> for each group: channels and taps, places
    columns = read.view(blocks, taps, -1, channels // blocks).permute(0, 3, 1, 2)
    columns = columns.reshape(grid.groups, channels // grid.groups * taps, -1)
    kernels = weight.reshape(grid.groups, weight.shape[0] // grid.groups, -1)
    out = torch.bmm(kernels, columns).view(-1, *size)
    return out if bias is None else out + bias[:, None, None]


def _places(grid: _Grid, axis: int, taps: int, outputs: int, like: Tensor) -> Tensor:
    """Return where taps lie without an offset, shape (taps, outputs)."""
    tap = torch.arange(taps, device=like.device, dtype=like.dtype)[:, None]
    at = torch.arange(outputs, device=like.device, dtype=like.dtype)
    return at * grid.stride[axis] - grid.padding[axis] + tap * grid.dilation[axis]


def _output_size(grid: _Grid, image: Tensor, weight: Tensor) -> tuple[int, int]:
    rows, columns = (
        (image.shape[k - 2] + 2 * grid.padding[k] - grid.dilation[k] * (weight.shape[k - 2] - 1) - 1)
        // grid.stride[k]
        + 1
        for k in (0, 1)
    )
    return rows, columns


def _check(given: _Tensors, output: Tensor, grid: _Grid) -> None:
    assert given.input is not None
    assert given.offset is not None
    assert given.weight is not None
    batch, channels = given.input.shape[:2]
    kernels, per_group, rows, columns = given.weight.shape
    if channels != per_group * grid.groups or kernels % grid.groups or channels % grid.deform_groups:
        raise ValueError(
            f"deformable convolution: {channels} channels do not fit a weight of shape "
            f"{tuple(given.weight.shape)}, {grid.groups} groups and {grid.deform_groups} deformable groups"
        )
    size = _output_size(grid, given.input, given.weight)
    points = grid.deform_groups * rows * columns
    for name, tensor, depth in (
        ("offset", given.offset, 2 * points),
        ("mask", given.mask, points),
        ("output", output, kernels),
    ):
        if tensor is None or tuple(tensor.shape) == (batch, depth, *size):
            continue
        larger = tensor.shape[:2] == (batch, depth) and tensor.shape[2:].numel() >= size[0] * size[1]
        if tensor is output or given.mask is None or not larger:
            raise ValueError(
                f"deformable convolution: {name} has the shape {tuple(tensor.shape)}, "
                f"not {(batch, depth, *size)}"
            )
