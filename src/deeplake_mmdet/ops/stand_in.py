"""The stand-in for ``mmcv._ext``: the ops imported here work, every other op raises on call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from deeplake_mmdet.errors import MissingOpError
from deeplake_mmdet.ops.advice import HOW_TO_COMPILE, PROVIDED
from deeplake_mmdet.ops.bbox_overlaps import bbox_overlaps
from deeplake_mmdet.ops.border_align import border_align_backward, border_align_forward
from deeplake_mmdet.ops.carafe import (
    carafe_backward,
    carafe_forward,
    carafe_naive_backward,
    carafe_naive_forward,
)
from deeplake_mmdet.ops.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from deeplake_mmdet.ops.deform_roi_pool import deform_roi_pool_backward, deform_roi_pool_forward
from deeplake_mmdet.ops.focal_loss import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from deeplake_mmdet.ops.masked_conv import masked_col2im_forward, masked_im2col_forward
from deeplake_mmdet.ops.ms_deform_attn import ms_deform_attn_backward, ms_deform_attn_forward
from deeplake_mmdet.ops.nms import nms
from deeplake_mmdet.ops.roi_align import roi_align_backward, roi_align_forward
from deeplake_mmdet.ops.roi_pool import roi_pool_backward, roi_pool_forward
from deeplake_mmdet.ops.soft_nms import nms_match, softnms

__all__ = [
    "bbox_overlaps",
    "border_align_backward",
    "border_align_forward",
    "carafe_backward",
    "carafe_forward",
    "carafe_naive_backward",
    "carafe_naive_forward",
    "deform_conv_backward_input",
    "deform_conv_backward_parameters",
    "deform_conv_forward",
    "deform_roi_pool_backward",
    "deform_roi_pool_forward",
    "get_compiler_version",
    "get_compiling_cuda_version",
    "masked_col2im_forward",
    "masked_im2col_forward",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
    "ms_deform_attn_backward",
    "ms_deform_attn_forward",
    "nms",
    "nms_match",
    "roi_align_backward",
    "roi_align_forward",
    "roi_pool_backward",
    "roi_pool_forward",
    "sigmoid_focal_loss_backward",
    "sigmoid_focal_loss_forward",
    "softmax_focal_loss_backward",
    "softmax_focal_loss_forward",
    "softnms",
]

__deeplake_mmdet_stand_in__ = True


def get_compiler_version() -> str:
    """Return what mmcv itself reports without compiled ops; ``mmcv.utils.collect_env`` asks."""
    return "n/a"


def get_compiling_cuda_version() -> str:
    """Return what mmcv itself reports without compiled ops; ``mmcv.utils.collect_env`` asks."""
    return "n/a"


@cache
def _missing(name: str) -> Callable[..., NoReturn]:
    def missing_op(*args: Any, **kwargs: Any) -> NoReturn:
        raise MissingOpError(
            f"the op {name!r} needs mmcv's compiled module mmcv._ext, which is not installed; "
            f"deeplake_mmdet's stand-in provides {PROVIDED} only",
            where=f"mmcv._ext.{name}",
            advice=HOW_TO_COMPILE,
        )

    missing_op.__name__ = missing_op.__qualname__ = name
    return missing_op


def __getattr__(name: str) -> Callable[..., NoReturn]:
    # The import system, inspect and copy probe dunder names and must be told that they are absent.
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _missing(name)
