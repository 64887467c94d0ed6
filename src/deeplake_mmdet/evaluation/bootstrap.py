"""How far scores would move had other images been drawn: a bootstrap over images.

From N images, N are drawn with replacement, again and again; an image that is drawn w times counts w times.
The same draws serve several files of predictions, so that what is hard about an image is hard for all of them
(a paired bootstrap). Images are matched once: AP of a draw comes of cumulated sums over what was matched.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.analysis import matches_of
from deeplake_mmdet.evaluation.engine import AREA_RANGES, RECALLS, Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["Matched", "draws"]

_LIMIT = 100  # COCO takes mAP at that many predictions of an image and class


def draws(image_count: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each image is drawn, shape (images,), ``resamples`` times.

    Args:
        image_count: Number of images; each draw takes as many, with repetition.
        resamples: Number of draws.
        seed: Of the random numbers.
    """
    generator = np.random.default_rng(seed)
    even = np.full(image_count, 1 / image_count)
    for _ in range(resamples):
        yield generator.multinomial(image_count, even).astype(np.float64)


class Matched:
    """One file's predictions after matching, ready to be counted with weights.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        class_count: Number of classes K.
        image_count: Number of images.
        by_mask: Overlap of masks instead of boxes.
    """

    def __init__(
        self, truth: Instances, predictions: Instances, class_count: int, image_count: int, *, by_mask: bool
    ) -> None:
        settings = Settings(limits=(_LIMIT,), by_mask=by_mask, area_ranges=AREA_RANGES[:1])
        evaluation = evaluator(truth, predictions, class_count, image_count, settings)
        order = np.lexsort((-predictions.confidence(), predictions.labels))  # equal ones by image, then place
        true = np.zeros((len(settings.iou_thresholds), len(order)), bool)
        ignored = true.copy()
        for row, iou in enumerate(settings.iou_thresholds.tolist()):
            matches = matches_of(evaluation, iou, truth, predictions)
            true[row], ignored[row] = (matches.target >= 0)[order], matches.left_out[order]
        counted = ~truth.ignored()
        self._objects = truth.images[counted], truth.labels[counted]
        self._class_count, self._thresholds = class_count, len(true)
        labels = predictions.labels[order]
        self._images = predictions.images[order]
        starts = np.searchsorted(labels, np.arange(class_count))
        # Places of true ones and of ignored ones, by class, then threshold, then score.
        self._true, self._true_cell = self._by_cell(true, labels)
        self._left_out, cells_left = self._by_cell(ignored, labels)
        self._starts = starts[self._true_cell // self._thresholds]
        most = len(order) + 1
        self._left_before = np.searchsorted(
            cells_left * most + self._left_out, self._true_cell * most + self._true
        )
        self._left_start = np.searchsorted(cells_left, self._true_cell)
        self._cell_start = np.searchsorted(self._true_cell, self._true_cell)

    def _by_cell(
        self, chosen: NDArray[np.bool_], labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        thresholds, places = np.nonzero(chosen)
        cells = labels[places] * self._thresholds + thresholds
        order = np.lexsort((places, cells))
        return places[order], cells[order]

    def precisions(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """AP of each class over COCO's ten IoU thresholds, shape (K,); NaN where no object is drawn.

        With all weights 1 it is COCO's. Otherwise precision is read off after all of an image's copies.

        Args:
            weights: How often each image counts, shape (images,).
        """
        images, labels = self._objects
        objects = np.bincount(labels, weights[images], self._class_count)
        before = _sums(weights[self._images])
        left = _sums(weights[self._images[self._left_out]])
        own = _sums(weights[self._images[self._true]])
        hits = own[1:] - own[self._cell_start]
        seen = (
            before[self._true + 1] - before[self._starts] - (left[self._left_before] - left[self._left_start])
        )
        precision = np.divide(hits, seen, out=np.zeros(len(hits)), where=seen > 0)
        wanted = objects[self._true_cell // self._thresholds]
        recall = np.divide(hits, wanted, out=np.zeros(len(hits)), where=wanted > 0)
        # One pass over all cells: their values are kept apart by 2 for each cell, and their places by 102.
        apart = 2.0 * self._true_cell
        best = np.maximum.accumulate((precision - apart)[::-1])[::-1] + apart
        step = len(RECALLS) + 1
        reaches = self._true_cell * step + np.searchsorted(RECALLS, recall, "right")
        cells = np.arange(self._class_count * self._thresholds)
        places = np.searchsorted(reaches, (cells[:, None] * step + np.arange(1, step)).ravel())
        reached = np.append(self._true_cell, -1)[places] == np.repeat(cells, len(RECALLS))
        values = np.where(reached, np.append(best, 0.0)[places], 0.0)
        found = values.reshape(self._class_count, -1).mean(axis=1)
        return np.where(objects > 0, found, np.nan)


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])
