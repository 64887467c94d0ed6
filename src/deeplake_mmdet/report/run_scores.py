"""All that is drawn and told of one evaluation: scores, curves, errors, and what each image is like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import ClassScore, RunPredictions
from deeplake_mmdet.evaluation.analysis import Analysis, analyse, thresholds_counted
from deeplake_mmdet.evaluation.coco_scores import class_scores
from deeplake_mmdet.evaluation.engine import Curves, Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.rle import compress_dense
from deeplake_mmdet.evaluation.runs.suspects import Pairs, Suspects, suspects_of
from deeplake_mmdet.evaluation.truth import truth_of
from deeplake_mmdet.lake import LakeView

__all__ = ["Calibration", "ImageCounts", "RunScores", "score_run"]

_BINS = 10
_MOST_CLASSES = 2000  # the confusion matrix of more would take gigabytes
_LEAST_SCORE = 0.05  # below it, no prediction speaks for or against a label
_IMAGES_AT_ONCE = 2048


@dataclass(frozen=True)
class Calibration:
    """Whether a prediction of score 0.8 is right in eight of ten cases; ten bins of equal width.

    Attributes:
        confidence: Mean score by bin, shape (10,); NaN where there is no prediction.
        accuracy: Share of those that found an object, shape (10,); NaN likewise.
        counts: Predictions by bin that count, shape (10,).
        error: Expected calibration error: mean difference of the two, weighted by count; NaN without any.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    counts: NDArray[np.int64]
    error: float


@dataclass(frozen=True)
class ImageCounts:
    """What each image is like, shape (n,) each, in the order of the `RunPredictions`.

    Objects and predictions are matched at IoU 0.5; predictions of the stated score or more count.

    Attributes:
        objects: Objects that count.
        found: Of these, those that were found.
        wrong: Predictions that found nothing.
        missed: Objects that were not found.
        lowest_iou: Lowest overlap of a found object's box with its prediction's; 1 without any.
        loss: AP that the image costs, see `image_losses`.
        suspicion: The strongest suspicion of one of its labels, see `suspects_of`; 0 without any.
    """

    objects: NDArray[np.int64]
    found: NDArray[np.int64]
    wrong: NDArray[np.int64]
    missed: NDArray[np.int64]
    lowest_iou: NDArray[np.float64]
    loss: NDArray[np.float64]
    suspicion: NDArray[np.float64]


@dataclass(frozen=True)
class RunScores:
    """What one evaluation of a run has given.

    Attributes:
        class_names: K of them, by label.
        map: COCO's mAP; NaN without objects.
        by_class: AP by class, as `CocoMetric` has it.
        analysis: At IoU 0.5: errors by kind, confusion, best thresholds, matches. Its ``score`` is the one
            from which predictions count in the confusion matrix and in ``images``.
        precision: At IoU 0.5, at the recalls 0, 0.01 ... 1, shape (101, K); NaN for classes without objects.
        objects: Objects that count, by class, shape (K,).
        right: Predictions that found an object, from the scores 0, 0.01 ... 1 on, shape (101, K).
        wrong: Predictions that found none, shape (101, K).
        calibration: Scores against the share that is right.
        images: What each image is like.
        truth: The objects, ordered by image.
        predictions: The predictions, ordered as in the `RunPredictions`.
        suspects: Labels that predictions speak against.
    """

    class_names: tuple[str, ...]
    map: float
    by_class: tuple[ClassScore, ...]
    analysis: Analysis
    precision: NDArray[np.float64]
    objects: NDArray[np.int64]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    calibration: Calibration
    images: ImageCounts
    truth: Instances
    predictions: Instances
    suspects: Suspects

    @property
    def score(self) -> float:
        """The score from which predictions count where a threshold is needed."""
        return self.analysis.score


def score_run(
    predictions: RunPredictions,
    views: Sequence[LakeView],
    *,
    score: float | None = None,
    by_mask: bool = False,
) -> RunScores:
    """Score a run's predictions against the annotation tables of its lakes.

    Images with equal scores are ordered by lake and row, where the metric orders them by image id; AP may
    differ in the fourth digit where scores tie.

    Args:
        predictions: The predictions.
        views: The lake of each of ``predictions.lakes``, see `open_recorded`.
        score: From which predictions count where a threshold is needed; None for that of the highest F1.
        by_mask: Overlap of masks instead of boxes.

    Raises:
        ConfigError: There are more than 2000 classes, or the lakes have other classes, or there are no masks.
        ColumnError, AnnotationError: Masks are needed, and a lake or an object has none.
        DeepLakeMMDetError: See `Matching`.
    """
    names, count = predictions.class_names, len(predictions)
    if len(names) > _MOST_CLASSES:
        raise ConfigError(
            f"Curves and errors are for {_MOST_CLASSES} classes at most, this run has {len(names)}",
            where="predictions of a run",
            advice="select classes with metainfo=dict(classes=...)",
        )
    for view in views:
        if view.classes != names:
            raise ConfigError(
                "The lake has other classes than the run's predictions", where=f"lake {view.source.url}"
            )
    truth, found = _truth(predictions, views, by_mask), _found(predictions)
    if by_mask:
        found = replace(found, areas=None, **_masks(predictions, views))
    settings = Settings(by_mask=by_mask)
    evaluation = evaluator(truth, found, len(names), count, settings)
    evaluation.accumulate()
    curves = Curves(evaluation.eval["precision"], evaluation.eval["recall"])
    counted = ~truth.ignored()
    objects = np.bincount(truth.labels[counted], minlength=len(names))
    whole = curves.precision[:, :, :, 0, 0]
    analysis = analyse(truth, found, names, count, by_mask=by_mask, score=score)
    right, wrong = thresholds_counted(found, analysis.matches, len(names))
    precision = curves.precision[0, :, :, 0, -1]
    suspects = _suspects(truth, found, count, analysis.score)
    return RunScores(
        names,
        float(whole[whole > -1].mean()) if (whole > -1).any() else math.nan,
        class_scores(curves, settings, objects, names),
        analysis,
        np.where(precision < 0, np.nan, precision),
        objects,
        right,
        wrong,
        _calibration(found, analysis),
        _images(truth, found, analysis, suspects, count),
        truth,
        found,
        suspects,
    )


def _truth(predictions: RunPredictions, views: Sequence[LakeView], by_mask: bool) -> Instances:
    """The objects of all images, numbered as the predictions' are."""
    parts = []
    for number, view in enumerate(views):
        places = np.flatnonzero(predictions.lake == number)
        part = truth_of(view, predictions.rows[places], with_masks=by_mask)
        parts.append((places[part.images], part))
    if not parts:
        return Instances(*_nothing())
    images = np.concatenate([place for place, _ in parts])
    order = np.argsort(images, kind="stable")
    columns = {
        name: np.concatenate([getattr(part, name) for _, part in parts])[order]
        for name in ("labels", "xywh", "areas", "iscrowd", "ignore")
    }
    if not by_mask:
        return Instances(images[order], **columns)
    masks = [mask for _, part in parts for mask in part.masks or ()]
    sizes = np.concatenate(
        [np.reshape([] if part.sizes is None else part.sizes, (-1, 2)) for _, part in parts]
    )
    return Instances(
        images[order],
        **columns,
        masks=[masks[place] for place in order.tolist()],
        sizes=sizes[order].astype(int),
    )


def _masks(predictions: RunPredictions, views: Sequence[LakeView]) -> dict[str, Any]:
    """The masks of all predictions and their sizes; one that has none has an empty one."""
    if predictions.masks is None:
        raise ConfigError(
            "The run has predicted no masks", where="argument metric", advice="score its boxes: metric='bbox'"
        )
    sizes: NDArray[np.int64] = np.zeros((len(predictions), 2), np.int64)
    for number, view in enumerate(views):
        places = np.flatnonzero(predictions.lake == number)
        rows = predictions.rows[places]
        sizes[places] = np.stack([view.table.heights[rows], view.table.widths[rows]], axis=1)
    sizes = np.repeat(sizes, np.diff(predictions.starts), axis=0)
    masks = [
        predictions.mask(place) or compress_dense(np.zeros((1, *sizes[place]), bool))[0]
        for place in range(len(sizes))
    ]
    return {"masks": masks, "sizes": sizes}


def _nothing() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)


def _found(predictions: RunPredictions) -> Instances:
    xywh = predictions.boxes.astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    return Instances(
        np.repeat(np.arange(len(predictions)), np.diff(predictions.starts)),
        predictions.labels.astype(np.int64),
        xywh,
        xywh[:, 2] * xywh[:, 3],
        predictions.scores_of_boxes.astype(np.float64),
    )


def _calibration(found: Instances, analysis: Analysis) -> Calibration:
    counts = ~analysis.matches.left_out
    scores, right = found.confidence()[counts], (analysis.matches.target >= 0)[counts]
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    number = np.bincount(bins, minlength=_BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bins, scores, _BINS) / number
        accuracy = np.bincount(bins, right, _BINS) / number
    some = number > 0
    gaps = np.abs(confidence - accuracy)[some] * number[some]
    error = float(gaps.sum() / number.sum()) if some.any() else math.nan
    return Calibration(confidence, accuracy, number, error)


def _suspects(truth: Instances, found: Instances, count: int, score: float) -> Suspects:
    """Suspected labels, the strongest first; some images at a time, for all pairs of one are compared."""
    places = np.flatnonzero(found.confidence() >= min(_LEAST_SCORE, score))
    able = found.take(places)
    parts = []
    for start in range(0, max(count, 1), _IMAGES_AT_ONCE):
        bounds = [np.searchsorted(side.images, [start, start + _IMAGES_AT_ONCE]) for side in (truth, able)]
        spans = [np.arange(*bound) for bound in bounds]
        some = suspects_of(truth.take(spans[0]), able.take(spans[1]), score)
        at = np.where(some.truths < 0, -1, some.truths + bounds[0][0])
        parts.append((some.images, some.kinds, some.suspicions, at, places[some.predictions + bounds[1][0]]))
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    order = np.argsort(-joined[2], kind="stable")
    return Suspects(*(column[order] for column in joined))


def _images(
    truth: Instances, found: Instances, analysis: Analysis, suspects: Suspects, count: int
) -> ImageCounts:
    matches = analysis.matches
    certain = found.confidence() >= analysis.score
    right, wrong = (matches.target >= 0) & certain, (matches.target < 0) & ~matches.left_out & certain
    objects = _count(truth.images[~truth.ignored()], count)
    hits = _count(found.images[right], count)
    lowest, suspicion = np.ones(count), np.zeros(count)
    np.minimum.at(lowest, found.images[right], _overlaps(truth, found, matches.target, right))
    np.maximum.at(suspicion, suspects.images, suspects.suspicions)
    wrongs = _count(found.images[wrong], count)
    return ImageCounts(objects, hits, wrongs, objects - hits, lowest, analysis.losses, suspicion)


def _overlaps(
    truth: Instances, found: Instances, target: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The IoU of each chosen prediction's box with that of its object: as many pairs, each an image."""
    ours, theirs = found.take(chosen), truth.take(target[chosen])
    each = np.arange(len(ours))
    pairs = Pairs(_numbered(theirs, each), _numbered(ours, each))
    return pairs.ious


def _numbered(objects: Instances, images: NDArray[np.int64]) -> Instances:
    return Instances(images, objects.labels, objects.xywh, None)


def _count(images: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.bincount(images, minlength=count)
