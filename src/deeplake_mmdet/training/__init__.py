"""Training and testing runs."""

from __future__ import annotations

from deeplake_mmdet.training.progress import ProgressHook
from deeplake_mmdet.training.run import Run, test, test_detector, train

__all__ = ["ProgressHook", "Run", "test", "test_detector", "train"]
