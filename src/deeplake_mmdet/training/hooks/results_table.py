"""Writing ``results.csv`` as a run goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from deeplake_mmdet.report import RESULTS_NAME, ResultsTable

__all__ = ["ResultsTableHook"]

_log = logging.getLogger("deeplake_mmdet")


class ResultsTableHook(Hook):
    """Adds a row to ``results.csv`` after each epoch and each validation.

    ``epoch``, ``iteration``, ``elapsed`` (seconds of training, over all starts of a resumed run); means since
    the row before of what MMEngine logs of training: losses, ``time`` and ``data_time`` (seconds of an
    iteration); learning rates as they are; and all scores of a validation. A resumed run goes on behind the
    row that it starts from.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._table: ResultsTable | None = None
        self._since = self._before = 0.0
        self._trained = 0, 0
        self._failed = False

    def after_load_checkpoint(self, runner: Any, checkpoint: Mapping[str, Any]) -> None:
        """Remember how long a model that is tested was trained."""
        meta = checkpoint.get("meta") or {}
        self._trained = int(meta.get("epoch") or 0), int(meta.get("iter") or 0)

    def before_train(self, runner: Any) -> None:
        """Begin the table, or go on with the one that is there."""
        if is_main_process():
            self._since = time.monotonic()
            self._attempt(self._begin, runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Add a row."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._attempt(self._add, runner, runner.epoch + 1, {})

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Add a row, or the scores to the row of the epoch."""
        self._attempt(self._add, runner, runner.epoch, dict(metrics or {}))

    def after_train(self, runner: Any) -> None:
        """Add a row of what came after the last one."""
        if self._table is not None and self._table.iteration != runner.iter:
            self._attempt(self._add, runner, runner.epoch, {})

    def after_test_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Write a table of one row, in the test's own folder."""
        if is_main_process():
            epoch, iteration = self._trained
            row = {"epoch": epoch, "iteration": iteration, **_numbers(metrics or {})}
            self._attempt(_write_one, Path(runner.work_dir) / "test" / RESULTS_NAME, row)

    def _begin(self, runner: Any) -> None:
        self._table = ResultsTable(Path(runner.work_dir) / RESULTS_NAME, runner.iter)
        self._before = self._table.elapsed

    def _add(self, runner: Any, epoch: int, scores: Mapping[str, Any]) -> None:
        if self._table is None:
            return
        row: dict[str, float] = {
            "epoch": epoch,
            "iteration": runner.iter,
            "elapsed": round(self._before + time.monotonic() - self._since, 1),
        }
        count = runner.iter - self._table.iteration
        for key, buffer in runner.message_hub.log_scalars.items() if count > 0 else ():
            place, _, name = key.partition("/")
            if place == "train":
                row[name] = float(buffer.current() if name.endswith("lr") else buffer.mean(count))
        self._table.add({**row, **_numbers(scores)})

    def _attempt(self, work: Any, *given: Any) -> None:
        try:
            work(*given)
        except OSError as error:  # the run is worth more than its table
            if not self._failed:
                _log.warning("%s is not written: %s", RESULTS_NAME, error)
            self._failed = True


def _write_one(path: Path, row: Mapping[str, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ResultsTable(path).add(row)


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in scores.items() if isinstance(value, int | float)}
