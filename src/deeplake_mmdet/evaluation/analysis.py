"""Beyond the stock numbers: errors by kind, confusion, best thresholds, costliest images; and their files.

Errors are sorted and priced by hotcoco as TIDE's own tool does (Bolya, Foley, Hays and Hoffman, "TIDE: A
General Toolbox for Identifying Object Detection Errors", ECCV 2020). A prediction that found nothing is, in
this order:

- localisation: overlaps an object of its class by 0.1 up to the threshold;
- classification: overlaps an object of another class by the threshold or more;
- duplicate: overlaps an object of its class, which a better prediction has found;
- background: overlaps nothing by more than 0.1;
- both: the rest, which overlap an object of another class by less than the threshold.

An object is missed if nothing found it and no localisation or classification error is about it. The cost of a
kind is how much AP at the threshold would rise if its errors, and they alone, were put right.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.coco_scores import ClassScore
from deeplake_mmdet.evaluation.engine import AREA_RANGES, RECALLS, Curves, Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.tables import without_nan
from deeplake_mmdet.evaluation.truth import Scope

__all__ = [
    "KINDS",
    "SCORES",
    "Analysis",
    "BestThreshold",
    "Matches",
    "analyse",
    "image_losses",
    "matches_of",
    "thresholds_counted",
    "write_analysis",
]

# Under TIDE's own names.
KINDS = {
    "classification": "Cls",
    "localisation": "Loc",
    "both": "Both",
    "duplicate": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}
SCORES = np.arange(101) / 100  # from which predictions may be taken to count
_ROWS = 100
_NO_LIMIT = 2**31 - 1
_NO_SCORE = 2.0  # above every score: no label is to be suspected


@dataclass(frozen=True)
class BestThreshold:
    """The score from which a class's predictions have the highest F1; NaN where it has none.

    F1 is 2 · precision · recall / (precision + recall).
    """

    name: str
    score: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Matches:
    """Which prediction found which object.

    Attributes:
        target: The object that each prediction found, shape (n predictions,); -1 where none that counts.
        left_out: Predictions that count neither way: they found an ignored object, shape (n predictions,).
        missed: Objects that count and were not found, shape (n objects,).
    """

    target: NDArray[np.int64]
    left_out: NDArray[np.bool_]
    missed: NDArray[np.bool_]


@dataclass(frozen=True)
class Analysis:
    """What was found at one IoU threshold.

    Attributes:
        iou: The threshold.
        score: The score from which predictions enter ``confusion``.
        ap: Mean AP at the threshold over classes with objects, COCO's 101 points; NaN without any.
        counts: Errors by kind.
        costs: AP lost by kind.
        confusion: Objects by true class (rows) and predicted class (columns), shape (K + 1, K + 1); the last
            row holds predictions on background, the last column objects that nothing was predicted on.
            Predictions find objects by COCO's rules whatever their classes, best score first; those on
            ignored objects are left out.
        thresholds: By class.
        losses: AP that each image costs, shape (images,); see `image_losses`.
        matches: Which prediction found which object, whatever its score.
    """

    iou: float
    score: float
    ap: float
    counts: dict[str, int]
    costs: dict[str, float]
    confusion: NDArray[np.int64]
    thresholds: tuple[BestThreshold, ...]
    losses: NDArray[np.float64]
    matches: Matches


def analyse(
    truth: Instances,
    predictions: Instances,
    names: tuple[str, ...],
    image_count: int,
    *,
    by_mask: bool = False,
    iou: float = 0.5,
    score: float | None = 0.3,
) -> Analysis:
    """Look into the errors at one IoU threshold.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        names: Class names.
        image_count: Number of images.
        by_mask: Overlap of masks instead of boxes.
        iou: From which an object counts as found.
        score: From which a prediction enters the confusion matrix; None for that of the highest F1 over all
            classes, in steps of 0.01.

    Raises:
        ProcessError: See `deeplake_mmdet.evaluation.engine.Matching`.
    """

    def evaluated(found: Instances, by_class: bool) -> Any:
        settings = Settings(np.array([iou]), (_NO_LIMIT,), by_mask, by_class, AREA_RANGES[:1])
        return evaluator(truth, found, len(names), image_count, settings)

    evaluation = evaluated(predictions, True)
    errors = evaluation.tide_errors(pos_thr=iou)
    matches = matches_of(evaluation, iou, truth, predictions)
    if score is None:
        score = _highest_f1(truth, predictions, matches)
    certain = predictions.take(predictions.confidence() >= score)
    among_all = matches_of(evaluated(certain, False), iou, truth, certain)
    return Analysis(
        iou,
        score,
        errors["ap_base"] if (~truth.ignored()).any() else math.nan,
        {kind: errors["counts"][name] for kind, name in KINDS.items()},
        {kind: errors["delta_ap"][name] for kind, name in KINDS.items()},
        _confusion(truth, certain, among_all, len(names)),
        _best_thresholds(truth, predictions, matches, names),
        image_losses(truth, predictions, matches, len(names), image_count),
        matches,
    )


def matches_of(evaluation: Any, iou: float, truth: Instances, predictions: Instances) -> Matches:
    """Which prediction found which object.

    Args:
        evaluation: Of the two; see `deeplake_mmdet.evaluation.engine.evaluator`.
        iou: One of its IoU thresholds.
        truth: The objects that it was given.
        predictions: The predictions that it was given.
    """
    found = evaluation.image_diagnostics(iou, _NO_SCORE)
    target = np.full(len(predictions), -1)
    left_out = np.ones(len(predictions), bool)
    left_out[_places(found["dt_status"])] = False
    target[_places(found["dt_match"])] = np.fromiter(found["dt_match"].values(), np.int64) - 1
    missed = np.zeros(len(truth), bool)
    missed[_places(found["gt_status"])] = True
    missed[target[target >= 0]] = False
    return Matches(target, left_out, missed)


def _places(numbered: dict[int, Any]) -> NDArray[np.int64]:
    return np.fromiter(numbered, np.int64, len(numbered)) - 1


def _confusion(
    truth: Instances, predictions: Instances, matches: Matches, class_count: int
) -> NDArray[np.int64]:
    matrix = np.zeros((class_count + 1, class_count + 1), np.int64)
    found = matches.target >= 0
    np.add.at(matrix, (truth.labels[matches.target[found]], predictions.labels[found]), 1)
    np.add.at(matrix[class_count], predictions.labels[~found & ~matches.left_out], 1)
    np.add.at(matrix[:, class_count], truth.labels[matches.missed], 1)
    return matrix


def image_losses(
    truth: Instances, predictions: Instances, matches: Matches, class_count: int, image_count: int
) -> NDArray[np.float64]:
    """How much AP each image costs; all of them together are 1 - AP.

    AP is taken as the mean over a class's N objects of the precision at which each is found (the area under
    the uninterpolated curve), 0 if it is not. So an object that is not found costs its image 1/N. One that is
    found at precision t / n costs (n - t) / (n N), which is shared equally among the n - t wrong predictions
    ranked above it, and charged to their images. Classes weigh alike.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        matches: Of the two.
        class_count: Number of classes.
        image_count: Number of images.

    Returns:
        Shape (images,); zeros if nothing can be found.
    """
    counted = ~truth.ignored()
    objects = np.bincount(truth.labels[counted], minlength=class_count)
    losses = np.zeros(image_count)
    if not objects.any():
        return losses
    lost = matches.missed
    np.add.at(losses, truth.images[lost], 1 / objects[truth.labels[lost]])
    part = np.flatnonzero(~matches.left_out)
    order = part[np.lexsort((-predictions.confidence()[part], predictions.labels[part]))]
    bounds = np.searchsorted(predictions.labels[order], np.arange(class_count + 1))
    for label in np.flatnonzero(objects).tolist():
        own = order[bounds[label] : bounds[label + 1]]
        true = matches.target[own] >= 0
        share = np.where(true, 1 / (np.arange(1, len(own) + 1) * objects[label]), 0)
        charged = np.cumsum(share[::-1])[::-1]
        np.add.at(losses, predictions.images[own[~true]], charged[~true])
    return losses / np.count_nonzero(objects)


def write_analysis(
    folder: Path,
    metric: str,
    found: Analysis,
    scope: Scope,
    curves: Curves,
    settings: Settings,
    by_class: Sequence[ClassScore],
) -> Path:
    """Write ``metrics.json`` (readable) and ``metrics.npz`` (arrays); one entry per metric in both.

    ``metrics.json`` maps the metric to ``classes`` (AP table), ``errors``, ``confusion``, ``thresholds`` and
    ``rows`` (the costliest first). ``metrics.npz`` holds, each name preceded by the metric and a slash,
    ``precision`` (IoU, recall, class, area range, limit), ``max_recall`` (likewise without the second),
    ``iou_thresholds``, ``recalls``, ``limits``, ``area_ranges`` and ``losses`` with ``rows`` and ``lakes``.
    Entries of other metrics that are there already stay.

    Args:
        folder: Where the files go; made if it is missing.
        metric: ``'bbox'`` or ``'segm'``.
        found: The analysis.
        scope: The images that were scored.
        curves: Their precision-recall curves.
        settings: IoU thresholds and limits that these were made with.
        by_class: AP of each class.

    Returns:
        The JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, arrays = folder / "metrics.json", folder / "metrics.npz"
    content = json.loads(file.read_text()) if file.is_file() else {}
    content[metric] = without_nan(_readable(found, scope, by_class))
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    kept: dict[str, Any] = {}
    if arrays.is_file():
        with np.load(arrays) as stored:
            kept = {name: stored[name] for name in stored.files}
    keys = list(scope.views)
    own = {
        "precision": curves.precision,
        "max_recall": curves.recall,
        "iou_thresholds": settings.iou_thresholds,
        "recalls": RECALLS,
        "limits": np.array(settings.limits),
        "area_ranges": np.array(AREA_RANGES),
        "losses": found.losses,
        "rows": np.array([one.row for one in scope.found], np.int64),
        "lakes": np.array([keys.index(one.key) for one in scope.found], np.int64),
    }
    kept.update({f"{metric}/{name}": value for name, value in own.items()})
    np.savez_compressed(arrays, **kept)
    return file


def _readable(found: Analysis, scope: Scope, by_class: Sequence[ClassScore]) -> dict[str, Any]:
    rows = []
    for place in np.argsort(-found.losses, kind="stable")[:_ROWS].tolist():
        if found.losses[place] <= 0:
            break
        one = scope.found[place]
        rows.append(
            {
                "lake": scope.views[one.key].source.url,
                "row": one.row,
                "image_id": scope.views[one.key].table.image_id(one.row),
                "loss": float(found.losses[place]),
            }
        )
    errors = {name: {"count": found.counts[name], "ap_lost": found.costs[name]} for name in KINDS}
    return {
        "iou": found.iou,
        "images": len(scope),
        "ap": found.ap,
        "classes": [asdict(score) for score in by_class],
        "errors": errors,
        "confusion": {
            "score": found.score,
            "names": [*scope.classes, "background"],
            "counts": found.confusion.tolist(),
        },
        "thresholds": [asdict(best) for best in found.thresholds],
        "rows": rows,
    }


def thresholds_counted(
    predictions: Instances, matches: Matches, class_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many predictions are right and how many wrong from each of `SCORES` on.

    Args:
        predictions: Ordered by image.
        matches: Of all of them. Those from a score on alone would find the same, for the best come first.
        class_count: Number of classes K.

    Returns:
        Right and wrong predictions, each of shape (101, K).
    """
    reached = np.searchsorted(SCORES, predictions.confidence(), side="right")
    right = matches.target >= 0
    counts = []
    for chosen in (right, ~right & ~matches.left_out):
        cells = reached[chosen] * class_count + predictions.labels[chosen]
        steps = len(SCORES) + 1
        table = np.bincount(cells, minlength=steps * class_count).reshape(steps, class_count)
        counts.append(table[::-1].cumsum(axis=0)[::-1][1:])
    return counts[0], counts[1]


def _highest_f1(truth: Instances, predictions: Instances, matches: Matches) -> float:
    right, wrong = thresholds_counted(predictions.relabelled(np.zeros(len(predictions), int)), matches, 1)
    objects = np.count_nonzero(~truth.ignored())
    f1 = 2 * right[:, 0] / np.maximum(right[:, 0] + wrong[:, 0] + objects, 1)
    return float(SCORES[int(f1.argmax())])


def _best_thresholds(
    truth: Instances, predictions: Instances, matches: Matches, names: tuple[str, ...]
) -> tuple[BestThreshold, ...]:
    objects = np.bincount(truth.labels[~truth.ignored()], minlength=len(names))
    part = np.flatnonzero(~matches.left_out)
    scores = predictions.confidence()
    order = part[np.lexsort((-scores[part], predictions.labels[part]))]
    bounds = np.searchsorted(predictions.labels[order], np.arange(len(names) + 1))
    nan = float("nan")
    best = []
    for label, name in enumerate(names):
        own = order[bounds[label] : bounds[label + 1]]
        # A threshold cannot part equal scores: only the last of them is a choice.
        last = np.flatnonzero(np.diff(scores[own], append=-np.inf) != 0)
        if not len(own) or not objects[label]:
            best.append(BestThreshold(name, nan, nan, nan, nan))
            continue
        hits = np.cumsum(matches.target[own] >= 0)[last]
        precision, recall = hits / (last + 1), hits / objects[label]
        f1 = 2 * hits / (last + 1 + objects[label])
        top = int(f1.argmax())
        values = (scores[own[last[top]]], f1[top], precision[top], recall[top])
        best.append(BestThreshold(name, *map(float, values)))
    return tuple(best)
