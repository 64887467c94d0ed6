"""Metrics whose ground truth is the annotation table."""

from __future__ import annotations

from deeplake_mmdet.evaluation.coco_metric import CocoMetric
from deeplake_mmdet.evaluation.coco_scores import ClassScore
from deeplake_mmdet.evaluation.compare import (
    Comparison,
    Difference,
    Interval,
    compare_predictions,
    precision_intervals,
)
from deeplake_mmdet.evaluation.dump import DumpPredictions
from deeplake_mmdet.evaluation.export import check_target
from deeplake_mmdet.evaluation.from_file import Evaluated, evaluate_predictions
from deeplake_mmdet.evaluation.gather import LakeMetric
from deeplake_mmdet.evaluation.lvis_metric import LVISMetric
from deeplake_mmdet.evaluation.runs.recorded_lakes import open_recorded
from deeplake_mmdet.evaluation.runs.run_predictions import (
    RunPredictions,
    gathered_predictions,
    read_run_predictions,
    write_run_predictions,
)
from deeplake_mmdet.evaluation.separate import SeparateEvaluator
from deeplake_mmdet.evaluation.voc.metric import VOCMetric
from deeplake_mmdet.evaluation.voc.scores import VOCClassScore

__all__ = [
    "ClassScore",
    "CocoMetric",
    "Comparison",
    "Difference",
    "DumpPredictions",
    "Evaluated",
    "Interval",
    "LVISMetric",
    "LakeMetric",
    "RunPredictions",
    "SeparateEvaluator",
    "VOCClassScore",
    "VOCMetric",
    "check_target",
    "compare_predictions",
    "evaluate_predictions",
    "gathered_predictions",
    "open_recorded",
    "precision_intervals",
    "read_run_predictions",
    "write_run_predictions",
]
