"""What a worker process sets up before its first batch."""

from __future__ import annotations

from deeplake_mmdet.loading.process_settings import set_for_worker
from deeplake_mmdet.registry import FUNCTIONS

__all__ = ["init_worker"]


@FUNCTIONS.register_module()
def init_worker(worker_id: int) -> None:
    """Set up a worker process by `set_for_worker`; it seeds nothing, because samples seed themselves.

    Args:
        worker_id: Number of the worker, from 0.
    """
    set_for_worker()
