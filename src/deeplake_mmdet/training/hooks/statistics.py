"""`StatisticsHook`: what the loaders did in each epoch, in the log."""

from __future__ import annotations

import time
from typing import Any

from mmengine.hooks import Hook

from deeplake_mmdet.loading import Recorder
from deeplake_mmdet.registry import HOOKS

__all__ = ["StatisticsHook"]


@HOOKS.register_module()
class StatisticsHook(Hook):
    """Logs times by stage, and what keeps the loader from being faster, after each epoch.

    Counts nothing unless the environment variable ``DEEPLAKE_MMDET_STATS`` is 1 when the loaders are built.
    Training and test runs of this package then have this hook by themselves.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._since = 0.0

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        loader = {"train": runner._train_loop, "val": runner._val_loop, "test": runner._test_loop}[mode]
        feed, workers = loader.dataloader.dataset, loader.dataloader.num_workers
        counts = getattr(type(feed), "is_feed", False) and feed.statistics.enabled
        self._recorder = Recorder(feed, workers) if counts else None
        self._since = time.perf_counter()

    def _before_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = "train") -> None:
        if self._recorder is not None:
            self._recorder.count(data_batch, time.perf_counter() - self._since)

    def _after_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        self._since = time.perf_counter()

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        if self._recorder is not None:
            runner.logger.info("loader of %s:\n%s", mode, self._recorder.report())
        self._recorder = None
