"""Results for logs and files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from deeplake_mmdet.evaluation.coco_scores import ClassScore
from deeplake_mmdet.evaluation.voc.scores import VOCClassScore
from deeplake_mmdet.terminal import readable

__all__ = ["class_lines", "voc_lines", "without_nan"]


def class_lines(scores: Sequence[ClassScore]) -> str:
    """One line per class: objects and average precisions.

    Args:
        scores: Of the classes, in the order of the lines.
    """
    names = [readable(score.name) for score in scores]
    width = max([len("class"), *map(len, names)])
    titles = " ".join(f"{title:>6}" for title in ("AP", "AP50", "AP75", "AP_s", "AP_m", "AP_l"))
    header = f"{'class':<{width}} {'objects':>8} {titles}"
    lines = [header]
    for name, score in zip(names, scores, strict=True):
        values = (score.ap, score.ap50, score.ap75, score.ap_small, score.ap_medium, score.ap_large)
        cells = " ".join(f"{value:>6.3f}" if value == value else f"{'-':>6}" for value in values)
        lines.append(f"{name:<{width}} {score.objects:>8} {cells}")
    return "\n".join(lines)


def voc_lines(scores: Sequence[VOCClassScore], mean: float) -> str:
    """One line per class: objects, predictions, highest recall, average precision; then the mean.

    Args:
        scores: Of the classes, in the order of the lines.
        mean: Mean average precision.
    """
    names = [readable(score.name) for score in scores]
    width = max([len("class"), *map(len, names)])
    lines = [f"{'class':<{width}} {'objects':>8} {'found':>8} {'recall':>6} {'AP':>6}"]
    for name, score in zip(names, scores, strict=True):
        recall = float(score.recall[-1]) if score.predictions and score.objects else 0.0
        ap = f"{score.ap:>6.3f}" if score.objects else f"{'-':>6}"
        lines.append(f"{name:<{width}} {score.objects:>8} {score.predictions:>8} {recall:>6.3f} {ap}")
    return "\n".join([*lines, f"{'mean':<{width}} {'':>8} {'':>8} {'':>6} {mean:>6.3f}"])


def without_nan(node: Any) -> Any:
    """Plain data with None for NaN and infinity, which JSON does not know.

    Args:
        node: Dicts, lists, arrays and numbers.
    """
    if isinstance(node, Mapping):
        return {key: without_nan(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [without_nan(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node
