"""Content-aware reassembly of features (CARAFE) in torch, forward and backward.

The operation is that of Wang et al., CARAFE (2019), section 3.2: each cell of the enlarged map is a sum over
the k × k cells around its source, weighted by a kernel of its own. Cells outside the map are 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["carafe_backward", "carafe_forward", "carafe_naive_backward", "carafe_naive_forward"]


def carafe_naive_forward(
    features: Tensor, masks: Tensor, output: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> None:
    """Write the enlarged map into ``output``.

    Args:
        features: Shape (B, C, H, W); any float type, any device. Half precision is computed in float32.
        masks: Shape (B, group_size · kernel_size², s · H, s · W), with s the scale factor.
        output: Shape (B, C, s · H, s · W), overwritten.
        kernel_size: Odd; cells in y and in x that are summed.
        group_size: Blocks of channels with kernels of their own.
        scale_factor: How many times larger the output is in y and in x.
    """
    dtype = _compute_type(features)
    cut = _split(masks.detach().to(dtype), group_size, scale_factor)
    total = torch.zeros_like(_split(output, group_size, scale_factor), dtype=dtype)
    for tap, window in _windows(_frame(features.detach().to(dtype), group_size, kernel_size), kernel_size):
        total.addcmul_(window[:, :, :, :, None, :, None], cut[:, :, tap, None])
    output.copy_(total.view_as(output))


def carafe_naive_backward(
    top_grad: Tensor,
    features: Tensor,
    masks: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Add the gradients to ``bottom_grad``, shape of ``features``, and ``mask_grad``, shape of ``masks``.

    Args:
        top_grad: Shape (B, C, s · H, s · W), with s the scale factor.
        features: Shape (B, C, H, W), as given to `carafe_naive_forward`.
        masks: Shape (B, group_size · kernel_size², s · H, s · W), as given to it.
        bottom_grad: Added to in place; the caller hands in zeros.
        mask_grad: Added to in place; the caller hands in zeros.
        kernel_size: Odd; cells in y and in x that are summed.
        group_size: Blocks of channels with kernels of their own.
        scale_factor: How many times larger the output is in y and in x.
    """
    dtype = _compute_type(features)
    above = _split(top_grad.detach().to(dtype), group_size, scale_factor)
    cut = _split(masks.detach().to(dtype), group_size, scale_factor)
    framed = _frame(features.detach().to(dtype), group_size, kernel_size)
    grad_framed, grad_cut = torch.zeros_like(framed), torch.empty_like(cut)
    grads = _windows(grad_framed, kernel_size)
    for (tap, window), (_, grad_window) in zip(_windows(framed, kernel_size), grads, strict=True):
        grad_window.add_((above * cut[:, :, tap, None]).sum((4, 6)))
        grad_cut[:, :, tap] = (above * window[:, :, :, :, None, :, None]).sum(2)
    reach, (height, width) = kernel_size // 2, features.shape[2:]
    inner = grad_framed[..., reach : reach + height, reach : reach + width]
    bottom_grad.add_(inner.reshape(features.shape).to(bottom_grad.dtype))
    mask_grad.add_(grad_cut.view_as(masks).to(mask_grad.dtype))


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Do as `carafe_naive_forward`, and keep the features for the backward pass in ``rfeatures``.

    ``routput`` and ``rmasks`` are buffers of the compiled op and stay as they are.
    See `carafe_naive_forward` for the other arguments.
    """
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_backward(
    top_grad: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rtop_grad: Tensor,
    rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor,
    rmask_grad: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Do as `carafe_naive_backward`, with the features that `carafe_forward` kept in ``rfeatures``.

    ``rtop_grad``, ``rbottom_grad_hs``, ``rbottom_grad`` and ``rmask_grad`` are buffers of the compiled op
    and stay as they are. See `carafe_naive_backward` for the other arguments.
    """
    carafe_naive_backward(
        top_grad, rfeatures, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor
    )


def _compute_type(features: Tensor) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _split(enlarged: Tensor, groups: int, scale: int) -> Tensor:
    """View (B, K, s·H, s·W) as (B, groups, K / groups, H, s, W, s)."""
    batch, depth, height, width = enlarged.shape
    shape = (batch, groups, depth // groups, height // scale, scale, width // scale, scale)
    return enlarged.contiguous().view(shape)


def _frame(features: Tensor, groups: int, kernel_size: int) -> Tensor:
    """Put zeros around the map as far as kernels reach: (B, groups, C / groups, H + k - 1, W + k - 1)."""
    framed = functional.pad(features, [kernel_size // 2] * 4)
    return framed.view(len(features), groups, -1, *framed.shape[2:])


def _windows(framed: Tensor, kernel_size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield each tap's number and its view of the map, (B, groups, C / groups, H, W)."""
    height, width = (length - kernel_size + 1 for length in framed.shape[3:])
    for tap in range(kernel_size**2):
        row, column = divmod(tap, kernel_size)
        yield tap, framed[..., row : row + height, column : column + width]
