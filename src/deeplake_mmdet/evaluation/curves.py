"""What COCO's matching is asked for, and the curves that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["AREA_RANGES", "BACKENDS", "RECALLS", "Curves", "Settings"]

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
