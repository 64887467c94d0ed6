"""Training and testing runs."""

from __future__ import annotations

from deeplake_mmdet.training.detector import build_detector, test_detector, train_detector
from deeplake_mmdet.training.progress import ProgressHook
from deeplake_mmdet.training.result import Run
from deeplake_mmdet.training.run import test, train

__all__ = [
    "ProgressHook",
    "Run",
    "build_detector",
    "test",
    "test_detector",
    "train",
    "train_detector",
]
