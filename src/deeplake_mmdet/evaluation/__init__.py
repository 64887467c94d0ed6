"""Metrics whose ground truth is the annotation table."""

from __future__ import annotations

from deeplake_mmdet.evaluation.coco_metric import CocoMetric
from deeplake_mmdet.evaluation.coco_scores import ClassScore

__all__ = ["ClassScore", "CocoMetric"]
