"""Beyond the stock numbers: errors by kind, confusion, best thresholds, costliest images; and their files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.coco_scores import class_scores
from deeplake_mmdet.evaluation.curves import AREA_RANGES, RECALLS, Curves, Settings
from deeplake_mmdet.evaluation.errors_by_kind import KINDS, Errors, find_errors
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.matching import Matches, Overlaps, match, overlaps_of
from deeplake_mmdet.evaluation.recalls import match_by_overlap
from deeplake_mmdet.evaluation.truth import Scope

__all__ = ["Analysis", "BestThreshold", "analyse", "confusion", "image_losses", "write_analysis"]

_ROWS = 100


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
class Analysis:
    """What was found at one IoU threshold.

    Attributes:
        iou: The threshold.
        score: The score from which predictions enter ``confusion``.
        errors: Errors by kind.
        confusion: Objects by true class (rows) and predicted class (columns), shape (K + 1, K + 1); the last
            row holds predictions on background, the last column objects that nothing was predicted on.
        thresholds: By class.
        losses: AP that each image costs, shape (images,); see `image_losses`.
    """

    iou: float
    score: float
    errors: Errors
    confusion: NDArray[np.int64]
    thresholds: tuple[BestThreshold, ...]
    losses: NDArray[np.float64]


def analyse(
    truth: Instances,
    predictions: Instances,
    names: tuple[str, ...],
    image_count: int,
    *,
    by_mask: bool = False,
    iou: float = 0.5,
    score: float = 0.3,
) -> Analysis:
    """Look into the errors at one IoU threshold.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        names: Class names.
        image_count: Number of images.
        by_mask: Overlap of masks instead of boxes.
        iou: From which an object counts as found.
        score: From which a prediction enters the confusion matrix.
    """
    overlaps = overlaps_of(truth, predictions, by_mask=by_mask)
    matches = match(truth, predictions, overlaps, iou)
    return Analysis(
        iou,
        score,
        find_errors(truth, predictions, overlaps, matches, iou),
        confusion(truth, predictions, overlaps, len(names), iou, score),
        _best_thresholds(truth, predictions, matches, names),
        image_losses(truth, predictions, matches, len(names), image_count),
    )


def confusion(
    truth: Instances, predictions: Instances, overlaps: Overlaps, class_count: int, iou: float, score: float
) -> NDArray[np.int64]:
    """Confusion matrix; see `Analysis`.

    Predictions and objects are matched one to one whatever their classes, highest overlap first. Predictions
    that are left over and lie on an ignored object are left out.
    """
    enough = (overlaps.iou >= iou) & (predictions.confidence()[overlaps.found] >= score)
    near, ignored = overlaps.where(enough), truth.ignored()
    counted = near.where(~ignored[near.wanted])
    chosen = match_by_overlap(counted.found, counted.wanted, counted.iou)
    found, wanted = counted.found[chosen], counted.wanted[chosen]
    matrix = np.zeros((class_count + 1, class_count + 1), np.int64)
    np.add.at(matrix, (truth.labels[wanted], predictions.labels[found]), 1)
    alone = predictions.confidence() >= score
    alone[found] = False
    alone[near.found[ignored[near.wanted]]] = False
    np.add.at(matrix[class_count], predictions.labels[alone], 1)
    lost = ~ignored
    lost[wanted] = False
    np.add.at(matrix[:, class_count], truth.labels[lost], 1)
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
    found = np.zeros(len(truth), bool)
    found[matches.target[matches.true]] = True
    lost = counted & ~found
    np.add.at(losses, truth.images[lost], 1 / objects[truth.labels[lost]])
    part = np.flatnonzero(~matches.left_out)
    order = part[np.lexsort((-predictions.confidence()[part], predictions.labels[part]))]
    bounds = np.searchsorted(predictions.labels[order], np.arange(class_count + 1))
    for label in np.flatnonzero(objects).tolist():
        own = order[bounds[label] : bounds[label + 1]]
        true = matches.true[own]
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
    truth: Instances,
) -> Path:
    """Write ``metrics.json`` (readable) and ``metrics.npz`` (arrays); one entry per metric in both.

    ``metrics.json`` maps the metric to ``classes`` (AP table), ``errors``, ``confusion``, ``thresholds`` and
    ``rows`` (the costliest first). ``metrics.npz`` holds, each name preceded by the metric and a slash,
    ``precision`` (IoU, recall, class, area range, limit), ``max_recall`` (likewise without the second),
    ``iou_thresholds``, ``recalls``, ``limits``, ``area_ranges`` and ``losses`` with ``rows`` and ``lakes``.
    Entries of other metrics that are there already stay.

    Returns:
        The JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, arrays = folder / "metrics.json", folder / "metrics.npz"
    content = json.loads(file.read_text()) if file.is_file() else {}
    content[metric] = _clean(_readable(found, scope, curves, settings, truth))
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


def _readable(
    found: Analysis, scope: Scope, curves: Curves, settings: Settings, truth: Instances
) -> dict[str, Any]:
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
    errors = {
        name: {"count": found.errors.counts[name], "ap_lost": found.errors.costs[name]} for name in KINDS
    }
    return {
        "iou": found.iou,
        "images": len(scope),
        "ap": found.errors.ap,
        "classes": [asdict(score) for score in class_scores(curves, settings, truth, scope.classes)],
        "errors": errors,
        "confusion": {
            "score": found.score,
            "names": [*scope.classes, "background"],
            "counts": found.confusion.tolist(),
        },
        "thresholds": [asdict(best) for best in found.thresholds],
        "rows": rows,
    }


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
        hits = np.cumsum(matches.true[own])[last]
        precision, recall = hits / (last + 1), hits / objects[label]
        f1 = 2 * hits / (last + 1 + objects[label])
        top = int(f1.argmax())
        values = (scores[own[last[top]]], f1[top], precision[top], recall[top])
        best.append(BestThreshold(name, *map(float, values)))
    return tuple(best)


def _clean(node: Any) -> Any:
    """NaN, which JSON does not know, as null."""
    if isinstance(node, dict):
        return {key: _clean(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_clean(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node
