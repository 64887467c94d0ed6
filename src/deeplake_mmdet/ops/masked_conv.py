"""Convolution at the cells of a mask only: a matrix of the windows there, and its product put back."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["masked_col2im_forward", "masked_im2col_forward"]


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Write the window of each cell of the mask into a column of ``col``.

    Args:
        im: Shape (1, C, H, W); any type, any device.
        mask_h_idx: Shape (M,), int64, the cells' rows in the output of a convolution of stride 1.
        mask_w_idx: Shape (M,), int64, their columns.
        col: Shape (C · kernel_h · kernel_w, M), overwritten.
        kernel_h: Cells of a window in y.
        kernel_w: Cells of a window in x.
        pad_h: Cells of 0 around the map in y.
        pad_w: Cells of 0 around the map in x.
    """
    framed = functional.pad(im[0], (pad_w, pad_w, pad_h, pad_h))
    windows = framed.unfold(1, kernel_h, 1).unfold(2, kernel_w, 1)[:, mask_h_idx, mask_w_idx]
    col.copy_(windows.permute(0, 2, 3, 1).reshape(col.shape))


def masked_col2im_forward(
    col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, im: Tensor, height: int, width: int, channels: int
) -> None:
    """Write each column of ``col`` into its cell of ``im``; other cells stay as they are.

    Args:
        col: Shape (channels, M).
        mask_h_idx: Shape (M,), int64, the cells' rows.
        mask_w_idx: Shape (M,), int64, their columns.
        im: Shape (1, channels, height, width), changed in place.
        height: Of ``im``.
        width: Of ``im``.
        channels: Of ``im``.
    """
    im.view(channels, height, width)[:, mask_h_idx, mask_w_idx] = col.to(im.dtype)
