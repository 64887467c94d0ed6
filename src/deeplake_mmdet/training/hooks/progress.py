"""A progress bar instead of log lines on the terminal."""

from __future__ import annotations

import logging
import time
from typing import Any

from mmengine.hooks import Hook

from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.terminal import console, plain

__all__ = ["ProgressHook", "TimeLeftHook"]

_PAUSE = 5.0  # seconds between two lines


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows a bar over all iterations with the loss, and a line after each validation.

    The log file keeps what the terminal no longer shows.
    """

    priority = "LOW"

    def before_train(self, runner: Any) -> None:
        """Move the log to its file and start the bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        runner.logger.setLevel(logging.INFO)
        for handler in runner.logger.handlers:
            to_file = isinstance(handler, logging.FileHandler)
            handler.setLevel(logging.INFO if to_file else logging.WARNING)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(soft_wrap=False),
        )
        self._task = self._bar.add_task("Training", total=runner.max_iters, completed=runner.iter)
        self._bar.start()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Advance the bar."""
        loss = (outputs or {}).get("loss")
        shown = "" if loss is None else f", loss {float(loss.detach()):.2f}"
        self._bar.update(
            self._task, completed=runner.iter + 1, description=f"Epoch {runner.epoch + 1}{shown}"
        )

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Print the scores."""
        scores = ", ".join(
            f"{key.rpartition('/')[2]} {value:.3f}"
            for key, value in (metrics or {}).items()
            if key.endswith(("mAP", "mAP_50"))
        )
        self._bar.print(plain(f"Epoch {runner.epoch}: {scores}"))

    def after_train(self, runner: Any) -> None:
        """Finish the bar."""
        self._bar.stop()


class TimeLeftHook(Hook):
    """Says every few seconds of a test how far it has come, where a log line every 50 batches is too rare."""

    priority = "VERY_LOW"

    def before_test_epoch(self, runner: Any) -> None:
        """Look at the clock."""
        self._begun = self._told = time.monotonic()

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Tell, if it is time to."""
        now, total = time.monotonic(), len(runner.test_dataloader)
        if now - self._told < _PAUSE or batch_idx + 1 >= total:
            return
        self._told = now
        left = (now - self._begun) / (batch_idx + 1) * (total - batch_idx - 1)
        runner.logger.info("Tested %d of %d batches; about %.0f s left", batch_idx + 1, total, left)
