"""A stand-in for ``mmcv._ext`` where mmcv was installed without its compiled ops."""

from __future__ import annotations

from .finder import install
from .report import in_use, log_ops_in_use

__all__ = ["in_use", "install", "log_ops_in_use"]
