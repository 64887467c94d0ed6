"""COCO's and LVIS's statistics and the scores of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.engine import Curves, Settings

__all__ = [
    "FREQUENCIES",
    "LVIS_STATISTICS",
    "STATISTICS",
    "ClassScore",
    "class_scores",
    "statistics",
    "summary",
]

_AREAS = ("all", "small", "medium", "large")
FREQUENCIES = ("r", "c", "f")


class _Statistic(NamedTuple):
    """What one score is the mean of; ``limit`` is a place among the limits, None the limit of 100."""

    kind: str
    iou: float | None = None
    area: int = 0
    limit: int | None = -1
    frequency: str = ""


# COCOeval.stats, in its order, under MMDetection's names; its proposal_nums are (100, 300, 1000).
STATISTICS = {
    "mAP": _Statistic("precision", limit=None),
    "mAP_50": _Statistic("precision", 0.5),
    "mAP_75": _Statistic("precision", 0.75),
    **{f"mAP_{'_sml'[area]}": _Statistic("precision", area=area) for area in (1, 2, 3)},
    **{f"AR@{most}": _Statistic("recall", limit=place) for place, most in enumerate((100, 300, 1000))},
    **{f"AR_{'_sml'[area]}@1000": _Statistic("recall", area=area) for area in (1, 2, 3)},
}
LVIS_STATISTICS = {
    "AP": _Statistic("precision"),
    "AP50": _Statistic("precision", 0.5),
    "AP75": _Statistic("precision", 0.75),
    **{f"AP{'_sml'[area]}": _Statistic("precision", area=area) for area in (1, 2, 3)},
    **{f"AP{name}": _Statistic("precision", frequency=name) for name in FREQUENCIES},
    "AR@300": _Statistic("recall"),
    **{f"AR{'_sml'[area]}@300": _Statistic("recall", area=area) for area in (1, 2, 3)},
}


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


def statistics(
    curves: Curves,
    settings: Settings,
    plan: Mapping[str, _Statistic] = STATISTICS,
    frequencies: NDArray[np.str_] | None = None,
) -> dict[str, float]:
    """Scores by name; -1 where nothing can be measured.

    As in the reference, COCO's first is taken at a limit of 100 predictions whatever the limits are, so it is
    -1 if 100 is not among them, and AP at 0.5 and 0.75 are -1 if these are not among the IoU thresholds.

    Args:
        curves: Precision and recall, from a `Matching`.
        settings: The settings that they were made with.
        plan: `STATISTICS` or `LVIS_STATISTICS`.
        frequencies: One of `FREQUENCIES` for each class, shape (K,), for LVIS.
    """
    found = {}
    for name, (kind, iou, area, limit, frequency) in plan.items():
        values = getattr(curves, kind)[..., area, :]
        values = values[..., np.array(settings.limits) == 100 if limit is None else [limit]]
        if iou is not None:
            values = values[settings.iou_thresholds == iou]
        if frequency:
            values = values[:, :, frequencies == frequency]
        found[name] = _mean(values, -1.0)
    return found


def summary(scores: Mapping[str, float], settings: Settings, plan: Mapping[str, _Statistic]) -> str:
    """The statistics as text, one line each.

    Args:
        scores: From `statistics`.
        settings: The settings that they were made with.
        plan: The one that they were made by.
    """
    thresholds = settings.iou_thresholds
    lines = []
    for name, (kind, iou, area, limit, frequency) in plan.items():
        title = "Average Precision (AP)" if kind == "precision" else "Average Recall    (AR)"
        span = f"{thresholds[0]:.2f}:{thresholds[-1]:.2f}" if iou is None else f"{iou:.2f}"
        most = 100 if limit is None else settings.limits[limit]
        classes = f" | classes={frequency}" if frequency else ""
        lines.append(
            f" {title} @[ IoU={span:<9} | area={_AREAS[area]:>6} | maxDets={most:>4}{classes} ] = "
            f"{scores[name]:.4f}"
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


def _mean(values: NDArray[np.float64], otherwise: float = float("nan")) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else otherwise
