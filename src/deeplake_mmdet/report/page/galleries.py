"""Which images the page shows: the best, the worst, those with missed objects or suspicious labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.report.run_scores import RunScores

__all__ = ["GALLERIES", "Gallery", "choose_images"]

GALLERIES = {
    "worst": "Worst: the images that cost most AP",
    "missed": "Missed: the images with most objects that were not found",
    "suspicious": "Suspicious labels: where predictions speak against the label",
    "best": "Best: everything found, nothing false",
}
_OF_EACH_CLASS = 4
_MOST_CLASSES = 40


@dataclass(frozen=True)
class Gallery:
    """Images of one kind.

    Attributes:
        name: A key of `GALLERIES`.
        images: Places of the images, the first to show first.
    """

    name: str
    images: list[int]


def choose_images(scores: RunScores, most: int) -> list[Gallery]:
    """Choose images for each gallery; of each of the 40 most frequent classes a few, for the filter.

    Args:
        scores: From `score_run`.
        most: Images in each gallery, before those of single classes.
    """
    found = []
    for name in GALLERIES:
        ranking, pairs = _ranked(scores, name)
        found.append(Gallery(name, _with_classes(ranking, *pairs, scores.objects, most)))
    return found


def _ranked(
    scores: RunScores, name: str
) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Images, the first to show first; and pairs of image and class, by which classes find theirs."""
    images, truth = scores.images, scores.truth
    counted = ~truth.ignored()
    pairs = truth.images[counted], truth.labels[counted]
    if name == "suspicious":
        suspects = scores.suspects
        _, first = np.unique(suspects.images, return_index=True)
        labels = scores.predictions.labels[suspects.predictions]
        return suspects.images[np.sort(first)], (suspects.images, labels)
    if name == "missed":
        found = np.zeros(len(truth), bool)
        certain = scores.predictions.confidence() >= scores.score
        target = scores.analysis.matches.target
        found[target[certain & (target >= 0)]] = True
        lost = counted & ~found
        share = images.missed / np.maximum(images.objects, 1)
        order = np.lexsort((-share, -images.missed))
        return order[images.missed[order] > 0], (truth.images[lost], truth.labels[lost])
    if name == "worst":
        order = np.argsort(-images.loss, kind="stable")
        return order[images.loss[order] > 0], pairs
    wrong = images.missed + images.wrong
    order = np.lexsort((-images.lowest_iou, -images.objects, wrong / np.maximum(images.objects, 1)))
    return order[(images.found[order] > 0) & (wrong[order] == 0)], pairs


def _with_classes(
    ranking: NDArray[np.int64],
    images: NDArray[np.int64],
    labels: NDArray[np.int64],
    objects: NDArray[np.int64],
    most: int,
) -> list[int]:
    chosen = ranking[:most].tolist()
    there = set(chosen)
    place = np.full(int(max(ranking.max(initial=-1), images.max(initial=-1))) + 1, len(ranking))
    place[ranking] = np.arange(len(ranking))
    for label in np.argsort(-objects, kind="stable")[:_MOST_CLASSES].tolist():
        own = np.unique(place[images[labels == label]])
        for image in ranking[own[own < len(ranking)][:_OF_EACH_CLASS]].tolist():
            if most and image not in there:
                there.add(image)
                chosen.append(image)
    return sorted(chosen, key=lambda image: int(place[image]))
