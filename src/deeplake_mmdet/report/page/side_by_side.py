"""Two runs compared on the same images: by how much more than chance they differ, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deeplake_mmdet.evaluation import RunPredictions
from deeplake_mmdet.evaluation.bootstrap import Matched
from deeplake_mmdet.evaluation.compare import Difference, compare_matched
from deeplake_mmdet.report.page.run_part import RunPart
from deeplake_mmdet.report.run_scores import RunScores

__all__ = ["SideBySide", "compare_parts"]

_MANY = 50_000  # predictions
_SAME = ("dataset_id", "version", "queries", "contents", "rows")


@dataclass
class SideBySide:
    """What two runs have in common.

    Attributes:
        data: ``overall`` and ``classes``: differences in AP; None if the runs cannot be compared.
        pairs: Galleries that show both runs, ``title`` and ``images`` each.
        sentence: The outcome.
        notes: Why they cannot be compared.
    """

    data: dict[str, Any] | None = None
    pairs: list[dict[str, Any]] | None = None
    sentence: str = ""
    notes: list[str] = field(default_factory=list)


def compare_parts(
    first: RunPart, second: RunPart, metric: str, resamples: int | None, seed: int, most: int
) -> SideBySide:
    """Compare two runs, if both were scored on the same images.

    Args:
        first: Run A.
        second: Run B.
        metric: ``'bbox'`` or ``'segm'``.
        resamples: Draws of the bootstrap; None for 1000, of many predictions 200.
        seed: Of the draws.
        most: Images of each gallery.
    """
    one, two = first.scores, second.scores
    own, other = first.folder.predictions, second.folder.predictions
    if one is None or two is None or own is None or other is None:
        return SideBySide(notes=["The two runs are not compared: not both have scores."])
    if why := _differ(own, other):
        return SideBySide(
            notes=[f"The runs are not compared by image: {why}. They stand side by side all the same."]
        )
    count = resamples or (1000 if max(len(one.predictions), len(two.predictions)) <= _MANY else 200)
    names, images = one.class_names, len(own)
    sides = [
        Matched(one.truth, side.predictions, len(names), images, by_mask=metric == "segm")
        for side in (one, two)
    ]
    found = compare_matched(one.truth, sides, names, images, metric, count, seed)
    data = {"overall": _plain(found.overall), "classes": [_plain(difference) for difference in found.classes]}
    return SideBySide(data, _pairs(one, two, most), _sentence(found.overall, count, images))


def _differ(own: RunPredictions, other: RunPredictions) -> str:
    """Why images of two runs are not the same; empty if they are."""
    if own.class_names != other.class_names:
        return "they have different classes"
    if len(own.lakes) != len(other.lakes) or not all(map(_is_same, own.lakes, other.lakes)):
        return "they were scored on different lakes, or on different versions of a lake"
    if not np.array_equal(own.lake, other.lake) or not np.array_equal(own.rows, other.rows):
        return "they were scored on different rows"
    return ""


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    own, others = one.get("row_order"), other.get("row_order")
    if (own is None) != (others is None) or (
        own is not None and others is not None and not np.array_equal(own, others)
    ):
        return False
    return all(one.get(name) == other.get(name) for name in _SAME)


def _pairs(one: RunScores, two: RunScores, most: int) -> list[dict[str, Any]] | None:
    if not most:
        return None
    gained = one.images.loss - two.images.loss
    order = np.argsort(-gained, kind="stable")
    better = [image for image in order[:most].tolist() if gained[image] > 0]
    worse = [image for image in order[::-1][:most].tolist() if gained[image] < 0]
    titles = {"B better: where the second run loses less AP": better, "B worse: where it loses more": worse}
    return [{"title": title, "images": images} for title, images in titles.items()]


def _sentence(overall: Difference, count: int, images: int) -> str:
    if math.isnan(overall.difference):
        return "Neither run can be scored: there are no objects."
    told = (
        f"mAP {overall.first:.3f} (A) and {overall.second:.3f} (B): a difference of {overall.difference:+.3f}"
    )
    if math.isnan(overall.low):
        return told + "."
    chance = "p < 0.001" if overall.p < 0.001 else f"p = {overall.p:.3f}"
    outcome = "more than" if overall.beyond_chance else "no more than"
    return (
        f"{told}, {outcome} the choice of images explains. In 95 % of {count} draws of {images:,} images "
        f"from these, it lies between {overall.low:+.3f} and {overall.high:+.3f} ({chance})."
    )


def _plain(one: Difference) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 5)

    return {
        "difference": number(one.difference),
        "low": number(one.low),
        "high": number(one.high),
        "p": number(one.p),
        "beyond_chance": one.beyond_chance,
    }
