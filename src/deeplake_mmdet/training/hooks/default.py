"""Hooks that every training run of ours has."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from mmcv.transforms import Compose
from mmengine.hooks import CheckpointHook, Hook

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import LakeMetric, SeparateEvaluator
from deeplake_mmdet.lake import clean_boxes
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.training.mask_check import check_predicts_masks

__all__ = ["EvaluationCheckHook", "MetaHook", "SeparateEvaluationHook"]


class EvaluationCheckHook(Hook):
    """Stops before the first iteration if there is nothing to train on, or validation could only fail."""

    priority = "VERY_HIGH"

    def before_run(self, runner: Any) -> None:
        """Compare lakes, model, metrics and ``save_best``.

        Raises:
            DeepLakeMMDetError: All boxes of the training lakes fall away; a lake or the model cannot give
                what a metric needs; no metric gives what ``save_best`` goes by.
        """
        _check_objects(runner)
        _check_switched(runner)
        if not hasattr(runner._val_loop, "evaluator"):  # none, or not built
            return
        evaluator = runner._val_loop.evaluator
        metrics = evaluator.metrics
        for metric in metrics:
            for lake in lakes_under(runner._val_loop.dataloader.dataset):
                if isinstance(metric, LakeMetric):
                    metric.check_view(lake.view)
        if any(isinstance(metric, LakeMetric) and metric.scores_masks for metric in metrics):
            check_predicts_masks(runner.model)
        keys = [_keys_of(metric) for metric in metrics]
        if None in keys:
            return
        if prefixes := getattr(evaluator, "dataset_prefixes", None):  # each metric is of one dataset
            keys = [
                {f"{prefix}/{key}" for key in part or ()}
                for prefix, part in zip(prefixes, keys, strict=False)
            ]
        known = sorted(key for part in keys if part for key in part)
        for best in _save_best(runner):
            # Scores of classes are not among the known ones.
            if best not in (*known, "auto") and not best.endswith("_precision"):
                near = get_close_matches(best, known, n=1)
                raise ConfigError(
                    f"No metric gives {best!r}, by which the best checkpoint is to be kept",
                    where="config key 'default_hooks.checkpoint.save_best', in a 2.x config "
                    "'evaluation.save_best'",
                    advice=(f"perhaps {near[0]!r} is meant; " if near else "") + f"known: {', '.join(known)}",
                )


def _check_objects(runner: Any) -> None:
    loader = getattr(runner._train_loop, "dataloader", None)
    lakes = lakes_under(loader.dataset) if loader is not None else []
    if any(lake.has_objects for lake in lakes):
        return
    for lake in lakes:  # one without any box, of background only, gives no doubt
        if (doubt := clean_boxes(lake.view).doubt()) is not None:
            raise doubt


def _check_switched(runner: Any) -> None:
    """Pipelines that a hook gives the training data later, as ``PipelineSwitchHook`` does."""
    loader: Any = getattr(runner._train_loop, "dataloader", None)
    later = [steps for hook in runner.hooks if (steps := getattr(hook, "switch_pipeline", None))]
    for steps in later:
        try:
            pipeline = Compose(steps)
        except Exception as error:  # of any transform
            raise ConfigError(
                f"The pipeline that training switches to cannot be built: {type(error).__name__}: {error}",
                where="config key 'custom_hooks', 'switch_pipeline'",
            ) from error
        for lake in lakes_under(loader.dataset) if loader is not None else ():
            lake.check_masks(pipeline)


class SeparateEvaluationHook(Hook):
    """Tells a `SeparateEvaluator` which rows each of the concatenated datasets has."""

    def before_val_epoch(self, runner: Any) -> None:
        """Tell it of the validation datasets."""
        self._bind(runner.val_loop)

    def before_test_epoch(self, runner: Any) -> None:
        """Tell it of the test datasets."""
        self._bind(runner.test_loop)

    def _bind(self, loop: Any) -> None:
        if not isinstance(loop.evaluator, SeparateEvaluator):
            return
        dataset = loop.dataloader.dataset
        while not hasattr(dataset, "datasets") and (inner := getattr(dataset, "dataset", None)) is not None:
            dataset = inner
        loop.evaluator.bind(
            [
                [(lake.view.key, lake.data_list.rows) for lake in lakes_under(part)]
                for part in getattr(dataset, "datasets", [dataset])
            ]
        )


class MetaHook(Hook):
    """Adds entries to the ``meta`` of checkpoints; MMEngine's own win, for resuming needs them.

    Args:
        meta: The entries.
    """

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self._meta, self._told = dict(meta), False

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add what is not there yet."""
        own = checkpoint.setdefault("meta", {})
        taken = sorted(str(key) for key in self._meta if key in own)
        if taken and not self._told:
            self._told = True
            runner.logger.info("meta: %s are the run's own, not the given ones", ", ".join(taken))
        own.update({key: value for key, value in self._meta.items() if key not in own})


def _keys_of(metric: Any) -> set[str] | None:
    keys = metric.result_keys() if isinstance(metric, LakeMetric) else None
    return None if keys is None else {f"{metric.prefix}/{key}" if metric.prefix else key for key in keys}


def _save_best(runner: Any) -> list[str]:
    found = [hook.save_best for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.save_best]
    return [str(key) for keys in found for key in ([keys] if isinstance(keys, str) else keys)]
