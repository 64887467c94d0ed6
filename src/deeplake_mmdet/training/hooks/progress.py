"""What a run shows of itself: how far a training has come and what it scores, how far a test has come."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sized
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop

from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.terminal import Progress, duration
from deeplake_mmdet.terminal.training_view import Standing, TrainingView

__all__ = ["ProgressHook"]

_WINDOW = 20  # iterations of which means are taken
_SCORES_SHOWN = 3
_TIMES = ("time", "data_time")


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows a block over the training with loss, learning rate, speed and time left, a line per validation.

    Every training and test of this package has one. MMEngine's own lines are in the run's log file.
    """

    priority = "VERY_LOW"  # behind those that save the best checkpoint

    def __init__(self) -> None:
        self._view: TrainingView | None = None
        self._test: Progress | None = None
        self._best: tuple[float, str] | None = None
        self._validation = self._validated = 0.0
        self._images = 0.0

    def before_train(self, runner: Any) -> None:
        """Say what begins, and start the block."""
        self._view = TrainingView() if is_main_process() else None
        self._at_start, self._in_a_row, self._step_begun = runner.iter, 0, time.monotonic()
        if self._view is not None:
            self._view.begin(_head(runner))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Show where the training stands, if it is time to."""
        if self._view is None:
            return
        epoch, done, of = _place(runner, batch_idx)
        if self._view.wants(epoch, done / of):
            self._view.show(self._standing(runner, epoch, done, of, _images_in(data_batch)))

    def before_val_epoch(self, runner: Any) -> None:
        """Look at the clock."""
        self._validation = time.monotonic()

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Show how far the validation has come."""
        if self._view is not None:
            done, total = batch_idx + 1, len(runner.val_dataloader)
            spent = time.monotonic() - self._validation
            self._view.validating(done, total, spent / done * (total - done))

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Show the scores, in one line."""
        self._validated = time.monotonic() - self._validation
        if self._view is None:
            return
        found = {key: float(value) for key, value in (metrics or {}).items() if key not in _TIMES}
        when = _when(runner)
        note = ""
        key, less = _key_of_best(runner, found)
        if key is not None and (value := found.get(key)) is not None:
            better = self._best is None or (value < self._best[0] if less else value > self._best[0])
            if better:
                self._best = (value, f"best {_short(key)} {value:.4f} ({when.lower()})")
                note = "  best so far"
        self._view.tell(f"{when} validated in {duration(self._validated)}:  {_scores(found, key)}{note}")

    def after_train(self, runner: Any) -> None:
        """Take the block off."""
        self.close()

    def before_test_epoch(self, runner: Any) -> None:
        """Start the bar."""
        self._test = Progress("Testing", len(runner.test_dataloader), unit="batches", transient=True)
        self._test.__enter__()

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Move the bar."""
        if self._test is not None:
            self._test.move(batch_idx + 1)

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Take the bar off."""
        self.close()

    def close(self) -> None:
        """Take off what is drawn; also called as a run fails, of which MMEngine tells its hooks nothing."""
        if self._view is not None:
            self._view.close()
        if self._test is not None:
            self._test.__exit__(None, None, None)
        self._view = self._test = None

    def _standing(self, runner: Any, epoch: int | None, done: int, of: int, images: int) -> Standing:
        history = runner.message_hub.log_scalars
        means = {
            key.removeprefix("train/"): float(buffer.mean(min(_WINDOW, len(buffer.data[0]))))
            for key, buffer in history.items()
            if key.startswith("train/")
        }
        step, waited = means.get("time"), means.get("data_time")
        gone = runner.iter + 1
        left = None
        if step:
            left = step * (runner.max_iters - gone) + self._validated * _validations_left(runner)
        rate = history.get("train/lr")
        return Standing(
            epoch=epoch,
            epochs=runner.max_epochs,
            iteration=done,
            iterations=of,
            share=gone / max(runner.max_iters, 1),
            losses={name: value for name, value in means.items() if "loss" in name},
            lr=None if rate is None else float(rate.current()),
            images=images * get_world_size() / step if step and images else None,
            data=min(waited / step, 1.0) if step and waited is not None else None,
            left=left,
            best=self._best[1] if self._best else "",
        )


def _head(runner: Any) -> list[str]:
    """What is trained, on what, for how long, and where the log is."""
    model = getattr(runner.model, "module", runner.model)
    parameters = sum(weight.numel() for weight in model.parameters())
    device = next((weight.device for weight in model.parameters()), "cpu")
    processes = get_world_size()
    of = f"{len(runner.train_dataloader):,} iterations"
    length = f"{runner.max_iters:,} iterations"
    if not _by_iterations(runner):
        length = f"{runner.max_epochs} epochs of {of}"
    where = f"{processes} processes, " * (processes > 1) + str(device)
    files = [handler for handler in runner.logger.handlers if isinstance(handler, logging.FileHandler)]
    lines = [f"Training {type(model).__name__} ({parameters / 1e6:.1f} M parameters, {where}) for {length}"]
    if runner.iter:
        checkpoint = runner.cfg.get("load_from") or "a checkpoint"
        lines.append(f"Going on behind {_when(runner).lower()} of {checkpoint}")
    return [*lines, *(f"Log: {file.baseFilename}" for file in files)]


def _by_iterations(runner: Any) -> bool:
    return isinstance(runner.train_loop, IterBasedTrainLoop)


def _place(runner: Any, batch: int) -> tuple[int | None, int, int]:
    """Epoch, iterations that are done of how many: of the epoch, or of all."""
    if _by_iterations(runner):
        return None, runner.iter + 1, max(runner.max_iters, 1)
    return runner.epoch + 1, batch + 1, max(len(runner.train_dataloader), batch + 1)


def _when(runner: Any) -> str:
    if _by_iterations(runner):
        return f"Iteration {runner.iter:,}"
    return f"Epoch {runner.epoch}/{runner.max_epochs}"


def _images_in(batch: Any) -> int:
    inputs = batch.get("inputs") if isinstance(batch, Mapping) else None
    if isinstance(inputs, Mapping):  # of semi-supervised training: several branches
        return sum(len(part) for part in inputs.values())
    return len(inputs) if isinstance(inputs, Sized) else 0


def _validations_left(runner: Any) -> int:
    loop = runner.train_loop
    every = getattr(loop, "val_interval", 0)
    if not every or getattr(runner, "_val_loop", None) is None:
        return 0
    left = runner.max_iters - runner.iter if _by_iterations(runner) else runner.max_epochs - runner.epoch
    return max(0, -(-int(left) // int(every)))


def _key_of_best(runner: Any, found: Mapping[str, float]) -> tuple[str | None, bool]:
    """The score that decides which checkpoint is best, and whether less of it is better."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            keys = [key for key in hook.key_indicators if key in found]
            if keys:
                return keys[0], hook.rules[hook.key_indicators.index(keys[0])] == "less"
    return next(iter(found), None), False


def _short(key: str) -> str:
    return key.rpartition("/")[2]


def _scores(found: Mapping[str, float], first: str | None) -> str:
    """Some scores in one line, the one that decides first; those of classes are in the table at the end."""
    keys = [key for key in found if not key.endswith("_precision") and key != first]
    if first is not None and first in found:
        keys = [first, *keys]
    prefixes = {key.rpartition("/")[0] for key in keys}
    shown = [f"{_short(key) if len(prefixes) < 2 else key} {found[key]:.4f}" for key in keys[:_SCORES_SHOWN]]
    return "  ".join(shown) if shown else "no scores"
