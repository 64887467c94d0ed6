"""COCO's matching and accumulation, by either of two engines that give the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["AREA_RANGES", "BACKENDS", "RECALLS", "Curves", "Settings", "accumulate"]

BACKENDS = ("faster", "pycocotools")
# COCO's: all, small, medium, large, in square pixels.
AREA_RANGES = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
RECALLS = np.linspace(0.0, 1.0, 101)


def _default_thresholds() -> NDArray[np.float64]:
    return np.linspace(0.5, 0.95, 10, dtype=np.float64)


@dataclass(frozen=True)
class Settings:
    """How to match and count.

    Attributes:
        iou_thresholds: Ascending, shape (T,).
        limits: Numbers of predictions per image and class that take part, ascending, M of them.
        by_mask: Overlap of masks instead of boxes.
        by_class: False for proposals: labels play no part.
        backend: ``'faster'`` (faster-coco-eval's C++) or ``'pycocotools'``.
    """

    iou_thresholds: NDArray[np.float64] = field(default_factory=_default_thresholds)
    limits: tuple[int, ...] = (100, 300, 1000)
    by_mask: bool = False
    by_class: bool = True
    backend: str = "faster"


@dataclass(frozen=True)
class Curves:
    """Precision and recall; -1 where there is no truth to be found.

    Attributes:
        precision: At `RECALLS`, shape (T, R, K, A, M): IoU thresholds, recalls, classes, area ranges, limits.
        recall: Highest recall, shape (T, K, A, M).
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def accumulate(
    truth: Instances, predictions: Instances, class_count: int, image_count: int, settings: Settings
) -> Curves:
    """Match predictions to truth and count, as COCOeval's ``evaluate`` and ``accumulate`` do.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        class_count: Number of classes K; 1 is taken for proposals.
        image_count: Number of images evaluated.
        settings: How.

    Raises:
        ConfigError: There is no such backend.
    """
    if not settings.by_class:
        truth, predictions, class_count = _one_class(truth), _one_class(predictions), 1
    if settings.backend == "faster":
        from deeplake_mmdet.evaluation.engine_faster import accumulate_faster

        return accumulate_faster(truth, predictions, class_count, settings)
    if settings.backend == "pycocotools":
        from deeplake_mmdet.evaluation.engine_pycocotools import accumulate_pycocotools

        return accumulate_pycocotools(truth, predictions, class_count, image_count, settings)
    raise ConfigError(
        f"Unknown backend {settings.backend!r}",
        where="evaluator key 'backend'",
        advice=f"known are {', '.join(BACKENDS)}",
    )


def _one_class(objects: Instances) -> Instances:
    """All of one class; COCOeval goes through an image class by class, which decides between equal scores."""
    order = np.lexsort((objects.labels, objects.images))
    return objects.take(order).relabelled(np.zeros(len(objects), np.int64))
