"""What a worker process sets up before its first batch."""

from __future__ import annotations

import cv2
import torch

from deeplake_mmdet.loading.memory import keep_freed_memory
from deeplake_mmdet.registry import FUNCTIONS

__all__ = ["init_worker"]


@FUNCTIONS.register_module()
def init_worker(worker_id: int) -> None:
    """Leave the cores to the other workers: no threads of OpenCV's or torch's own; keep freed memory.

    Samples seed themselves.

    Args:
        worker_id: Number of the worker, from 0.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    keep_freed_memory()
