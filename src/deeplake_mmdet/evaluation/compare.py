"""Whether two files of predictions differ by more than the choice of images would explain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.bootstrap import Matched, draws
from deeplake_mmdet.evaluation.from_file import Entries, open_scored, read_found
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.truth import scope_of
from deeplake_mmdet.lake import LakeView

__all__ = [
    "Comparison",
    "Difference",
    "Interval",
    "compare_matched",
    "compare_predictions",
    "precision_intervals",
]

_FALSE_SHARE = 0.05  # of the classes that are named, this many may be named by chance
_INSIDE = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """Average precision (COCO's, mean over ten IoU thresholds) of a class, or of ``'all'``.

    Attributes:
        name: The class.
        ap: Average precision; NaN, as the two ends, for a class without objects.
        low: Lower end of the interval that holds 95 % of the values of all draws.
        high: Upper end.
    """

    name: str
    ap: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Average precision (COCO's, mean over ten IoU thresholds) in two files, of a class or of all.

    Attributes:
        name: The class; ``'all'`` for the mean over classes with objects.
        objects: Number of objects that count.
        first: AP of the first file; NaN, as the next four, for a class without objects.
        second: AP of the second.
        difference: Second minus first.
        low: Lower end of the interval that holds 95 % of the differences of all draws.
        high: Upper end.
        p: How likely a difference at least as large would be if there were none: ``erfc(|d| / (s √2))`` with
            the difference ``d`` and its standard deviation ``s`` over the draws.
        beyond_chance: Whether it stands out among all classes by Benjamini and Hochberg's procedure, with 5 %
            of false ones expected; for ``'all'``, whether ``p`` is below 5 %.
    """

    name: str
    objects: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    beyond_chance: bool


@dataclass(frozen=True)
class Comparison:
    """Two files of predictions compared on the same images; see `compare_predictions`."""

    metric: str
    images: int
    resamples: int
    seed: int
    overall: Difference
    classes: tuple[Difference, ...]


def compare_predictions(
    first: str | Path | Entries,
    second: str | Path | Entries,
    lake: str | Path,
    *,
    metric: str = "bbox",
    resamples: int = 1000,
    seed: int = 0,
    **source: Any,
) -> Comparison:
    """Tell which classes differ in AP by more than the choice of images would explain.

    See `deeplake_mmdet.evaluation.bootstrap`: images are drawn anew ``resamples`` times, the same for both.

    Args:
        first: COCO results: a ``.json`` or ``.parquet`` file, or the entries; see `evaluate_predictions`.
        second: The others, in any of these forms.
        lake: Path or URL.
        metric: ``'bbox'`` or ``'segm'``.
        resamples: Number of draws.
        seed: Of the draws.
        source: ``credentials``, ``commit``, ``branch``, ``tag``, ``view``, ``query``, ``tensors``,
            ``box_format`` and ``classes``; see `evaluate_predictions`.

    Raises:
        ConfigError: Another metric, or fewer than two draws.
        DeepLakeMMDetError: See `evaluate_predictions`.
    """
    view, truth, both = _matched([first, second], lake, metric, resamples, seed, source)
    return compare_matched(truth, both, view.classes, len(view.table), metric, resamples, seed)


def compare_matched(
    truth: Instances,
    both: Sequence[Matched],
    names: Sequence[str],
    images: int,
    metric: str = "bbox",
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two sides whose predictions have been matched with the same truth.

    Args:
        truth: Ordered by image.
        both: The two sides.
        names: Class names.
        images: Number of images.
        metric: ``'bbox'`` or ``'segm'``.
        resamples: Number of draws, at least two.
        seed: Of the draws.
    """
    count = len(names)
    found = np.array([side.precisions(np.ones(images)) for side in both])
    drawn = np.array(
        [[side.precisions(weights) for side in both] for weights in draws(images, resamples, seed)]
    )
    objects = np.bincount(truth.labels[~truth.ignored()], minlength=count)
    classes = [
        _difference(name, int(objects[label]), found[:, label], drawn[:, 1, label] - drawn[:, 0, label])
        for label, name in enumerate(names)
    ]
    means = _mean(drawn)
    overall = _difference("all", int(objects.sum()), _mean(found), means[:, 1] - means[:, 0])
    stand_out = _stand_out(np.array([one[-1] for one in classes]))
    return Comparison(
        metric,
        images,
        resamples,
        seed,
        Difference(*overall, bool(overall[-1] < _FALSE_SHARE)),
        tuple(Difference(*one, bool(out)) for one, out in zip(classes, stand_out, strict=True)),
    )


def precision_intervals(
    predictions: str | Path | Entries,
    lake: str | Path,
    *,
    metric: str = "bbox",
    resamples: int = 1000,
    seed: int = 0,
    **source: Any,
) -> tuple[Interval, ...]:
    """How far the AP of each class, and at the end of all, would move had other images been drawn.

    Args:
        predictions: COCO results: a ``.json`` or ``.parquet`` file, or the entries.
        lake: Path or URL.
        metric: ``'bbox'`` or ``'segm'``.
        resamples: Number of draws.
        seed: Of the draws.
        source: ``credentials``, ``commit``, ``branch``, ``tag``, ``view``, ``query``, ``tensors``,
            ``box_format`` and ``classes``; see `evaluate_predictions`.

    Raises:
        ConfigError: Another metric, or fewer than two draws.
        DeepLakeMMDetError: See `evaluate_predictions`.
    """
    view, _, (matched,) = _matched([predictions], lake, metric, resamples, seed, source)
    images = len(view.table)
    found = matched.precisions(np.ones(images))
    drawn = np.array([matched.precisions(weights) for weights in draws(images, resamples, seed)])
    columns = [
        *zip(view.classes, found.tolist(), drawn.T, strict=True),
        ("all", float(_mean(found)), _mean(drawn)),
    ]
    return tuple(Interval(name, ap, *_inside(values)) for name, ap, values in columns)


def _matched(
    files: Sequence[str | Path | Entries],
    lake: str | Path,
    metric: str,
    resamples: int,
    seed: int,
    source: Mapping[str, Any],
) -> tuple[LakeView, Instances, list[Matched]]:
    """The lake, its truth, and what each file's predictions have found of it."""
    if metric not in ("bbox", "segm"):
        raise ConfigError(f"Images are drawn anew for bbox or segm, not for {metric!r}", where="metric")
    if resamples < 2 or seed < 0:
        raise ConfigError(
            f"There must be at least two draws and a seed from 0, got {resamples} and {seed}",
            where="resamples",
        )
    by_mask = metric == "segm"
    view = open_scored(lake, [metric], **source)
    scopes = [scope_of(read_found(file, view, masks=by_mask)) for file in files]
    truth = scopes[0].truth(with_masks=by_mask)
    sides = [scope.predictions(with_masks=by_mask) for scope in scopes]
    matched = [Matched(truth, side, len(view.classes), len(view.table), by_mask=by_mask) for side in sides]
    return view, truth, matched


def _inside(values: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the interval that holds 95 % of what was drawn; NaN where nothing was."""
    known = values[~np.isnan(values)]
    low, high = np.percentile(known, _INSIDE).tolist() if len(known) > 1 else (math.nan, math.nan)
    return low, high


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the classes that have any, which come last; NaN if none has."""
    there = ~np.isnan(values)
    counts = there.sum(axis=-1)
    return np.where(counts > 0, np.where(there, values, 0).sum(axis=-1) / np.maximum(counts, 1), np.nan)


def _difference(
    name: str, objects: int, found: NDArray[np.float64], drawn: NDArray[np.float64]
) -> tuple[str, int, float, float, float, float, float, float]:
    first, second = found.tolist()
    difference, drawn = second - first, drawn[~np.isnan(drawn)]
    if len(drawn) < 2 or math.isnan(difference):
        return name, objects, first, second, difference, math.nan, math.nan, math.nan
    low, high = _inside(drawn)
    spread = float(drawn.std(ddof=1))
    if spread:
        p = math.erfc(abs(difference) / (spread * math.sqrt(2)))
    else:  # the same in every draw: equal, or all on one image, of which draws tell nothing
        p = math.nan if difference else 1.0
    return name, objects, first, second, difference, low, high, p


def _stand_out(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Benjamini and Hochberg: up to the last of the n ascending p with p_k <= k / n · share; NaN never."""
    known = np.flatnonzero(~np.isnan(values))
    ranked = known[np.argsort(values[known], kind="stable")]
    below = np.flatnonzero(
        values[ranked] <= _FALSE_SHARE * np.arange(1, len(ranked) + 1) / max(len(ranked), 1)
    )
    chosen = np.zeros(len(values), bool)
    chosen[ranked[: below[-1] + 1 if len(below) else 0]] = True
    return chosen
