"""Keeping the predictions of the best validation, and of a test, in the run's folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.evaluation import (
    DumpPredictions,
    LakeMetric,
    SeparateEvaluator,
    gathered_predictions,
    read_run_predictions,
    write_run_predictions,
)

__all__ = ["KeptPredictionsHook", "predictions_file"]

_log = logging.getLogger("deeplake_mmdet")


def predictions_file(work_dir: str | Path, split: str) -> Path:
    """Where a run's predictions are kept.

    Args:
        work_dir: The run's folder.
        split: ``'val'`` or ``'test'``.
    """
    return Path(work_dir) / "evaluation" / f"{split}.npz"


class KeptPredictionsHook(Hook):
    """Writes ``evaluation/val.npz`` after each validation that is the best so far, and ``test.npz``.

    The best is told by what ``save_best`` names, else by the first score of our metrics; without a score each
    validation replaces the one before. Nothing is kept of metrics that are not of this package.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._best: float | None = None
        self._trained = 0, 0
        self._told: set[str] = set()

    def after_load_checkpoint(self, runner: Any, checkpoint: Mapping[str, Any]) -> None:
        """Remember how long a model that is tested was trained."""
        meta = checkpoint.get("meta") or {}
        self._trained = int(meta.get("epoch") or 0), int(meta.get("iter") or 0)

    def before_train(self, runner: Any) -> None:
        """Go on from the best that a resumed run has kept."""
        if not runner.iter or not hasattr(runner._val_loop, "evaluator"):
            return
        try:
            kept = read_run_predictions(predictions_file(runner.work_dir, "val"))
        except DeepLakeMMDetError:
            return
        if kept.iteration <= runner.iter:
            self._best = _value(kept.scores, *_indicator(runner, kept.scores))

    def before_val_epoch(self, runner: Any) -> None:
        """Ask the metrics for their results."""
        for metric in _metrics(runner.val_loop):
            metric.keeps_results = True

    def before_test_epoch(self, runner: Any) -> None:
        """Ask the metrics for their results."""
        for metric in _metrics(runner.test_loop):
            metric.keeps_results = True

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Write the predictions, if these are the best."""
        scores = dict(metrics or {})
        value = _value(scores, *_indicator(runner, scores))
        if value is not None and self._best is not None and not value > self._best:
            return
        self._best = value if value is not None else self._best
        self._write(runner, runner.val_loop, "val", scores, (runner.epoch, runner.iter))

    def after_test_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Write the predictions."""
        self._write(runner, runner.test_loop, "test", dict(metrics or {}), self._trained)

    def _write(
        self, runner: Any, loop: Any, split: str, scores: Mapping[str, Any], trained: tuple[int, int]
    ) -> None:
        results = [found for metric in _metrics(loop) for found in metric.kept_results()]
        if not is_main_process() or not results:
            return
        numbers = {name: float(value) for name, value in scores.items() if isinstance(value, int | float)}
        try:
            predictions, left_out = gathered_predictions(
                results, split=split, epoch=trained[0], iteration=trained[1], scores=numbers
            )
            write_run_predictions(predictions_file(runner.work_dir, split), predictions)
        except DeepLakeMMDetError as error:  # the run is worth more than this file
            self._tell(f"The predictions are not kept: {error}")
            return
        if left_out:
            self._tell(f"Predictions on lakes with other classes are not kept: {', '.join(left_out)}")

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            _log.warning(text)


def _metrics(loop: Any) -> list[LakeMetric]:
    """Metrics whose results together are all predictions, each once."""
    evaluator = loop.evaluator
    ours = [one for one in evaluator.metrics if isinstance(one, LakeMetric)]
    if isinstance(evaluator, SeparateEvaluator):
        return ours
    scoring = [one for one in ours if not isinstance(one, DumpPredictions)]
    return [one for one in scoring if one.scores_masks][:1] or scoring[:1] or ours[:1]


def _indicator(runner: Any, scores: Mapping[str, Any]) -> tuple[str, bool]:
    """The score by which the best is told, and whether less of it is better."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            name, rule = hook.key_indicators[0], hook.rules[0]
            return (next(iter(scores), "") if name == "auto" else name), rule == "less"
    for metric in _metrics(runner.val_loop):
        known = metric.result_keys()
        for name in scores:
            if known is None or name.rpartition("/")[2] in known:
                return name, False
    return "", False


def _value(scores: Mapping[str, Any], name: str, less: bool) -> float | None:
    value = scores.get(name)
    if not isinstance(value, int | float) or math.isnan(value):
        return None
    return -float(value) if less else float(value)
