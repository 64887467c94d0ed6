"""Why average precision is lost: TIDE's error kinds and what each of them costs.

After Bolya, Foley, Hays and Hoffman, "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
2020. A prediction that found nothing is, in this order (kinds: section 2.1; the order: the authors' code):

- localisation: overlaps an object of its class by t_b to t_f;
- classification: overlaps an object of another class by t_f or more;
- duplicate: overlaps an object of its class by t_f or more, which a better prediction has taken;
- background: overlaps nothing by more than t_b;
- both: the rest, which overlap an object of another class by t_b to t_f.

An object is missed if nothing found it and no localisation or classification error is about it. The cost of a
kind is how much AP at t_f would rise if its errors, and they alone, were put right (section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.curves import RECALLS
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.matching import Matches, Overlaps

__all__ = ["KINDS", "Errors", "class_precisions", "find_errors"]

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
_CLASSIFICATION, _LOCALISATION, _BOTH, _DUPLICATE, _BACKGROUND = range(5)


@dataclass(frozen=True)
class Errors:
    """Errors at one IoU threshold.

    Attributes:
        ap: Mean AP at the threshold over classes with objects, COCO's 101 points; NaN without any.
        counts: Errors by kind.
        costs: AP lost by kind (``dAP``).
        kinds: Place in `KINDS` for each prediction, shape (n,); -1 if it is none.
        missed: Objects that were missed, shape (m,).
    """

    ap: float
    counts: dict[str, int]
    costs: dict[str, float]
    kinds: NDArray[np.int64]
    missed: NDArray[np.bool_]


def find_errors(
    truth: Instances,
    predictions: Instances,
    overlaps: Overlaps,
    matches: Matches,
    threshold: float,
    background: float = 0.1,
) -> Errors:
    """Sort errors by kind and price each kind.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        overlaps: Of the two.
        matches: At ``threshold``.
        threshold: t_f, the IoU from which an object counts as found.
        background: t_b, the IoU up to which a prediction is on background.
    """
    counted = ~truth.ignored()
    own = overlaps.where(counted[overlaps.wanted])
    same = predictions.labels[own.found] == truth.labels[own.wanted]
    best_same, target_same = _best(own.where(same), len(predictions))
    best_other, target_other = _best(own.where(~same), len(predictions))
    false = ~matches.true & ~matches.left_out
    kinds = np.full(len(predictions), -1)
    tests = (
        (_LOCALISATION, (best_same >= background) & (best_same < threshold)),
        (_CLASSIFICATION, best_other >= threshold),
        (_DUPLICATE, best_same >= threshold),
        (_BACKGROUND, np.maximum(best_same, best_other) <= background),
        (_BOTH, np.ones(len(predictions), bool)),
    )
    for kind, holds in tests:
        kinds[false & (kinds < 0) & holds] = kind
    target = np.where(kinds == _LOCALISATION, target_same, target_other)
    about = (kinds == _LOCALISATION) | (kinds == _CLASSIFICATION)
    found = np.zeros(len(truth), bool)
    found[matches.target[matches.true]] = True
    explained = found.copy()
    explained[target[about]] = True
    missed = counted & ~explained
    classes = int(max(truth.labels.max(initial=-1), predictions.labels.max(initial=-1))) + 1
    wanted = np.bincount(truth.labels[counted], minlength=classes)
    scores = predictions.confidence()

    def ap(
        labels: NDArray[np.int64],
        true: NDArray[np.bool_],
        keep: NDArray[np.bool_],
        objects: NDArray[np.int64] = wanted,
    ) -> float:
        values = class_precisions(labels[keep], scores[keep], true[keep], objects)[wanted > 0]
        return float(values.mean()) if len(values) else float("nan")

    taking_part = ~matches.left_out
    base = ap(predictions.labels, matches.true, taking_part)
    costs: dict[str, float] = {}
    for kind in (_CLASSIFICATION, _LOCALISATION):
        # Put right, a prediction finds its object, unless that is found already or by a better one put right.
        fixed = kinds == kind
        labels = np.where(fixed, truth.labels[target] if len(truth) else 0, predictions.labels)
        goal = np.where(matches.true, matches.target, np.where(fixed, target, -1))
        candidates = np.flatnonzero(goal >= 0)
        candidates = candidates[np.lexsort((-scores[candidates], ~matches.true[candidates]))]
        first = candidates[np.unique(goal[candidates], return_index=True)[1]]
        true = np.zeros(len(predictions), bool)
        true[first] = True
        dropped = np.zeros(len(predictions), bool)
        dropped[candidates] = True
        dropped &= ~true
        costs[KINDS[kind]] = ap(labels, true, taking_part & ~dropped) - base
    for kind in (_BOTH, _DUPLICATE, _BACKGROUND):
        costs[KINDS[kind]] = ap(predictions.labels, matches.true, taking_part & (kinds != kind)) - base
    fewer = wanted - np.bincount(truth.labels[missed], minlength=classes)
    costs["missed"] = ap(predictions.labels, matches.true, taking_part, fewer) - base
    counts = {name: int((kinds == place).sum()) for place, name in enumerate(KINDS[:-1])}
    counts["missed"] = int(missed.sum())
    return Errors(base, counts, {name: costs[name] for name in KINDS}, kinds, missed)


def class_precisions(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    true: NDArray[np.bool_],
    objects: NDArray[np.int64],
) -> NDArray[np.float64]:
    """COCO's AP (mean precision at 101 recalls) of each class, shape (K,); 0 without objects.

    Args:
        labels: Of the predictions, shape (n,).
        scores: Shape (n,).
        true: Whether each found an object, shape (n,).
        objects: Number of objects of each class, shape (K,).
    """
    order = np.lexsort((-scores, labels))
    bounds = np.searchsorted(labels[order], np.arange(len(objects) + 1))
    values = np.zeros(len(objects))
    for label in np.flatnonzero(objects).tolist():
        hits = true[order[bounds[label] : bounds[label + 1]]]
        found = np.cumsum(hits)
        precision = found / np.arange(1, len(hits) + 1)
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        values[label] = best[np.searchsorted(found / objects[label], RECALLS, "left")].mean()
    return values


def _best(overlaps: Overlaps, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Highest overlap of each prediction, and with which object; 0 and -1 where there is none."""
    order = np.lexsort((overlaps.wanted, -overlaps.iou, overlaps.found))
    first = order[np.unique(overlaps.found[order], return_index=True)[1]]
    best, target = np.zeros(count), np.full(count, -1)
    best[overlaps.found[first]] = overlaps.iou[first]
    target[overlaps.found[first]] = overlaps.wanted[first]
    return best, target
