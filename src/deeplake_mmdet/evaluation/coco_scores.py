"""COCO's twelve statistics and the scores of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.engine import Curves, Settings

__all__ = ["STATISTICS", "ClassScore", "class_scores", "statistics", "summary"]

# Positions in COCOeval.stats under MMDetection's names; its proposal_nums are (100, 300, 1000).
STATISTICS = {
    "mAP": 0,
    "mAP_50": 1,
    "mAP_75": 2,
    "mAP_s": 3,
    "mAP_m": 4,
    "mAP_l": 5,
    "AR@100": 6,
    "AR@300": 7,
    "AR@1000": 8,
    "AR_s@1000": 9,
    "AR_m@1000": 10,
    "AR_l@1000": 11,
}
_AREAS = ("all", "small", "medium", "large")
# Of each statistic: precision or recall, IoU, area range, position of the limit (None: the limit of 100).
_PLAN: tuple[tuple[str, float | None, int, int | None], ...] = (
    ("precision", None, 0, None),
    ("precision", 0.5, 0, 2),
    ("precision", 0.75, 0, 2),
    *(("precision", None, area, 2) for area in (1, 2, 3)),
    *(("recall", None, 0, limit) for limit in (0, 1, 2)),
    *(("recall", None, area, 2) for area in (1, 2, 3)),
)


@dataclass(frozen=True)
class ClassScore:
    """One class's result: number of truth boxes that count, AP over all IoUs and at IoU 0.5 and 0.75, AP of
    small, medium and large objects. NaN where the class has no truth."""

    name: str
    objects: int
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float


def statistics(curves: Curves, settings: Settings) -> NDArray[np.float64]:
    """``COCOeval.stats``, shape (12,); -1 where nothing can be measured.

    As in the reference, the first is taken at a limit of 100 predictions whatever the limits are, so it is -1
    if 100 is not among them, and AP at 0.5 and 0.75 are -1 if these are not among the IoU thresholds.

    Args:
        curves: Precision and recall, from a `Matching`.
        settings: The settings that they were made with.
    """
    return np.array([_value(curves, settings, *entry) for entry in _PLAN])


def summary(stats: NDArray[np.float64], settings: Settings) -> str:
    """The statistics as text, one line each.

    Args:
        stats: From `statistics`, shape (12,).
        settings: The settings that they were made with.
    """
    thresholds = settings.iou_thresholds
    lines = []
    for value, (kind, iou, area, limit) in zip(stats, _PLAN, strict=True):
        title = "Average Precision (AP)" if kind == "precision" else "Average Recall    (AR)"
        span = f"{thresholds[0]:.2f}:{thresholds[-1]:.2f}" if iou is None else f"{iou:.2f}"
        most = 100 if limit is None else settings.limits[limit]
        lines.append(
            f" {title} @[ IoU={span:<9} | area={_AREAS[area]:>6} | maxDets={most:>4} ] = {value:.4f}"
        )
    return "\n".join(lines)


def class_scores(
    curves: Curves, settings: Settings, objects: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[ClassScore, ...]:
    """The scores of each class at the highest limit.

    Args:
        curves: Of all classes.
        settings: Theirs.
        objects: Number of objects of each class that count, shape (K,).
        names: Of the classes.
    """
    thresholds = settings.iou_thresholds
    scores = []
    for index, name in enumerate(names):
        precision = curves.precision[:, :, index]
        at = [_mean(precision[np.isclose(thresholds, iou), :, 0, -1]) for iou in (0.5, 0.75)]
        whole, *by_area = (_mean(precision[:, :, area, -1]) for area in range(len(_AREAS)))
        scores.append(ClassScore(name, int(objects[index]), whole, *at, *by_area))
    return tuple(scores)


def _value(
    curves: Curves, settings: Settings, kind: str, iou: float | None, area: int, limit: int | None
) -> float:
    values = getattr(curves, kind)[..., area, :]
    if iou is not None:
        values = values[settings.iou_thresholds == iou]
    if limit is None:
        values = values[..., np.array(settings.limits) == 100]
    else:
        values = values[..., limit]
    return _mean(values, -1.0)


def _mean(values: NDArray[np.float64], otherwise: float = float("nan")) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else otherwise
