"""What to tell somebody who needs an op that the stand-in does not have."""

from __future__ import annotations

__all__ = ["HOW_TO_COMPILE", "PROVIDED"]

# What the stand-in has, for messages.
PROVIDED = (
    "nms, soft_nms, nms_match, roi_align, roi_pool, deform_conv, modulated_deform_conv, deform_roi_pool, "
    "masked_conv2d, carafe, border_align, ms_deform_attn, bbox_overlaps and the focal losses"
)

# The package's isolated build sees no torch and then leaves the ops out without failing.
HOW_TO_COMPILE = (
    "build onedl-mmcv's ops against the installed torch, which takes a C++ compiler (for GPU ops nvcc too) "
    'and about ten minutes: pip install "setuptools>=80" wheel "packaging>=24.2" ninja && '
    "pip install --no-build-isolation --no-deps --no-cache-dir --force-reinstall "
    "--no-binary onedl-mmcv onedl-mmcv (set FORCE_CUDA=1 where the GPU is not visible during the build), "
    "or install a wheel of onedl-mmcv that was built with its ops for this torch"
)
