"""Scores and curves of an evaluation as plain values for the page."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.report.palette import class_colour
from deeplake_mmdet.report.run_scores import RunScores

__all__ = ["ERROR_KINDS", "score_part", "short", "worst_confused"]

#: Kinds of errors, and what each means, for people.
ERROR_KINDS = {
    "classification": "right place, wrong class",
    "localisation": "right class, box off (IoU 0.1 to 0.5)",
    "both": "wrong class and box off",
    "duplicate": "found already by a better prediction",
    "background": "nothing there",
    "missed": "objects that nothing found",
}
_MOST_CONFUSED = 40  # classes in the matrix


def short(value: float, digits: int = 4) -> float | None:
    """A number for JSON; None where there is none.

    Args:
        value: Any, also NaN and COCO's -1.
        digits: After the point.
    """
    return None if not math.isfinite(value) or value < 0 else round(float(value), digits)


def score_part(scores: RunScores) -> dict[str, Any]:
    """What the page shows of one run's scores.

    Args:
        scores: From `score_run`.
    """
    analysis = scores.analysis
    kept = worst_confused(analysis.confusion, _MOST_CONFUSED)
    matrix = analysis.confusion[np.ix_(kept, kept)]
    names = [*scores.class_names, "background"]
    with_objects = scores.objects > 0
    mean = scores.precision[:, with_objects].mean(axis=1) if with_objects.any() else np.zeros(0)
    return {
        "classes": list(scores.class_names),
        "colours": [_hex(label) for label in range(len(scores.class_names))],
        "score": scores.score,
        "iou": analysis.iou,
        "map": short(scores.map),
        "ap50": short(analysis.ap),
        "objects": scores.objects.tolist(),
        "ap": {
            name: [short(getattr(one, name)) for one in scores.by_class]
            for name in ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        },
        "best": [[short(one.score, 3), short(one.f1)] for one in analysis.thresholds],
        "precision": [_rounded(column) for column in scores.precision.T],
        "mean_precision": _rounded(mean),
        "right": scores.right.T.tolist(),
        "wrong": scores.wrong.T.tolist(),
        "confusion": {
            "names": [names[place] for place in kept],
            "counts": matrix.tolist(),
            "left_out": len(scores.class_names) + 1 - len(kept),
        },
        "errors": [
            {"kind": kind, "means": means, "count": int(analysis.counts[kind]),
             "cost": short(analysis.costs[kind])}
            for kind, means in ERROR_KINDS.items()
        ],
        "calibration": {
            "error": short(scores.calibration.error),
            "bins": [
                [short(float(mean)), short(float(share)), int(count)]
                for mean, share, count in zip(
                    scores.calibration.confidence, scores.calibration.accuracy, scores.calibration.counts,
                    strict=True,
                )
            ],
        },
        "images": len(scores.images.objects),
    }  # fmt: skip


def worst_confused(confusion: NDArray[np.int64], most: int) -> list[int]:
    """The classes that a matrix of limited size shows: those with most mistakes, and background, the last.

    Args:
        confusion: Shape (K + 1, K + 1).
        most: Number of classes.
    """
    count = len(confusion) - 1
    if count <= most:
        return list(range(count + 1))
    off = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    chosen = np.sort(np.argsort(-off[:count], kind="stable")[:most])
    return [*chosen.tolist(), count]


def _hex(label: int) -> str:
    red, green, blue = class_colour(label)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [short(value, 3) for value in values.tolist()]
