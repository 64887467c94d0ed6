"""faster-coco-eval's C++, fed class by class with as little as it can do with.

Three things make this fast and small. Overlaps are computed for a whole class at once. Classes go through the
library one after the other, so only one class's objects exist as Python objects at a time. And the library
sees as few images as possible: scores are replaced by ranks in COCOeval's final order (score, then image,
then place), which makes every order explicit, so the predictions of a class on images without such objects
can share made-up images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import InstallError
from deeplake_mmdet.evaluation.curves import AREA_RANGES, RECALLS, Curves, Settings
from deeplake_mmdet.evaluation.instances import Instances, spans
from deeplake_mmdet.evaluation.overlaps import coco_overlaps, mask_overlaps

__all__ = ["accumulate_faster"]

_NO_LIMIT = 2**31 - 1
# Overlaps held at a time, as Python floats: about 100 MB.
_BLOCK = 2_000_000
# The library reserves room for this many predictions on every image.
_TOGETHER = 100


@dataclass(frozen=True)
class _Params:
    """What the library reads of COCOeval's parameters."""

    iouThrs: list[float]
    recThrs: list[float]
    maxDets: list[int]
    areaRng: list[list[float]]
    imgIds: list[int]
    catIds: list[int]
    useCats: int = 1


def accumulate_faster(
    truth: Instances, predictions: Instances, class_count: int, settings: Settings
) -> Curves:
    """See `deeplake_mmdet.evaluation.engine.accumulate`.

    Raises:
        InstallError: faster-coco-eval cannot be imported.
    """
    library = _library()
    thresholds, limits = len(settings.iou_thresholds), len(settings.limits)
    precision = np.full((thresholds, len(RECALLS), class_count, len(AREA_RANGES), limits), -1.0)
    recall = np.full((thresholds, class_count, len(AREA_RANGES), limits), -1.0)
    found = _by_class(predictions, class_count)
    wanted = _by_class(truth, class_count)
    for label in range(class_count):
        if not len(wanted[label]):
            continue
        one = _OneClass(truth, wanted[label], predictions, found[label])
        done: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        for place, limit in enumerate(settings.limits):
            effective = min(limit, one.most_on_an_image)
            if effective not in done:
                done[effective] = one.limited(effective).accumulate(library, settings)
            precision[:, :, label, :, place], recall[:, label, :, place] = done[effective]
    return Curves(precision, recall)


class _OneClass:
    """Truth and predictions of one class.

    Args:
        truth: All truth.
        wanted: Places of this class's truth, by image.
        predictions: All predictions.
        found: Places of this class's predictions, by image.
    """

    def __init__(
        self, truth: Instances, wanted: NDArray[np.int64], predictions: Instances, found: NDArray[np.int64]
    ) -> None:
        self.truth, self.wanted, self.predictions = truth, wanted, predictions
        scores, images = predictions.confidence()[found], predictions.images[found]
        # Both sorts keep the order of equal entries, as COCOeval's mergesort does.
        order = np.lexsort((-scores, images))
        self.found, images = found[order], images[order]
        _, counts = np.unique(images, return_counts=True)
        self.place_on_image = spans(counts)
        self.most_on_an_image = int(counts.max(initial=0))
        best_first = np.argsort(-scores[order], kind="stable")
        self.ranks = np.empty(len(found))
        self.ranks[best_first] = np.arange(len(found), 0, -1)

    def limited(self, limit: int) -> _OneClass:
        """The same with only the best ``limit`` predictions of each image."""
        keep = self.place_on_image < limit
        if keep.all():
            return self
        return _OneClass(self.truth, self.wanted, self.predictions, self.found[keep])

    def accumulate(self, library: Any, settings: Settings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision, shape (T, R, A), and highest recall, shape (T, A)."""
        images, firsts, counts = np.unique(
            self.truth.images[self.wanted], return_index=True, return_counts=True
        )
        own = self.predictions.images[self.found]
        starts = np.searchsorted(own, images, "left")
        ends = np.searchsorted(own, images, "right")
        size = (ends - starts) * counts
        evaluated: list[list[Any]] = [[] for _ in AREA_RANGES]
        # The predictions on images without truth come first, on as few images as their number allows.
        alone = np.ones(len(own), bool)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            alone[start:end] = False
        others = np.flatnonzero(alone)
        together = max(self.most_on_an_image, _TOGETHER)
        block = [(others[at : at + together], self.wanted[:0]) for at in range(0, len(others), together)]
        held = 0
        for number in range(len(images)):
            first = int(firsts[number])
            pair = np.arange(starts[number], ends[number]), self.wanted[first : first + int(counts[number])]
            block.append(pair)
            held += int(size[number])
            if held >= _BLOCK:
                self._evaluate(library, settings, evaluated, block)
                block, held = [], 0
        self._evaluate(library, settings, evaluated, block)
        params = _params(settings, len(evaluated[0]), together)
        counted = library.COCOevalAccumulate(params, [one for images_ in evaluated for one in images_])
        return counted["precision"][:, :, 0, :, 0], counted["recall"][:, 0, :, 0]

    def _evaluate(
        self,
        library: Any,
        settings: Settings,
        evaluated: list[list[Any]],
        block: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    ) -> None:
        """Match some images' predictions and truth and append what comes out, by area range."""
        if not block:
            return
        own, wanted = (np.concatenate(side) for side in zip(*block, strict=True))
        counts, sizes = (np.array([len(one) for one in side]) for side in zip(*block, strict=True))
        numbers = np.arange(len(block))
        found = library.Dataset()
        columns = (np.repeat(numbers, counts), self.ranks[own], self.predictions.areas[self.found[own]])
        for number, rank, area in zip(*(column.tolist() for column in columns), strict=True):
            found.append_ref(number, 0, {"id": 1, "score": rank, "area": area})
        truth = library.Dataset()
        columns = (np.repeat(numbers, sizes), spans(sizes) + 1, self.truth.areas[wanted])
        flags = (self.truth.crowds()[wanted], self.truth.ignored()[wanted])
        for number, place, area, crowd, ignore in zip(
            *(column.tolist() for column in (*columns, *flags)), strict=True
        ):
            entry = {"id": place, "area": area, "iscrowd": crowd, "ignore": ignore}
            truth.append_ref(number, 0, entry)
        params = _params(settings, len(block))
        overlaps = (
            self._mask_overlaps(block) if settings.by_mask else self._overlaps(own, wanted, counts, sizes)
        )
        made = library.COCOevalEvaluateImages(
            params.areaRng,
            _NO_LIMIT,
            params.iouThrs,
            overlaps,
            truth,
            found,
            params.imgIds,
            params.catIds,
            True,
        )
        for area_range in range(len(AREA_RANGES)):
            evaluated[area_range].extend(made[area_range * len(block) : (area_range + 1) * len(block)])

    def _overlaps(
        self,
        own: NDArray[np.int64],
        wanted: NDArray[np.int64],
        counts: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> list[list[Any]]:
        """One matrix per image, predictions × truth, each in a list of its own: the library's form."""
        width = np.repeat(sizes, counts)
        first = np.repeat(own, width)
        second = wanted[np.repeat(np.repeat(np.cumsum(sizes) - sizes, counts), width) + spans(width)]
        values = coco_overlaps(
            self.predictions.xywh[self.found[first]], self.truth.xywh[second], self.truth.crowds()[second]
        )
        ends = np.cumsum(counts * sizes)
        return [
            [values[end - high * wide : end].reshape(high, wide).tolist() if high and wide else []]
            for end, high, wide in zip(ends.tolist(), counts.tolist(), sizes.tolist(), strict=True)
        ]

    def _mask_overlaps(self, block: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> list[list[Any]]:
        return [
            [
                mask_overlaps(self.predictions, self.truth, self.found[own].tolist(), wanted.tolist())
                if len(own) and len(wanted)
                else []
            ]
            for own, wanted in block
        ]


def _by_class(objects: Instances, class_count: int) -> list[NDArray[np.int64]]:
    order = np.argsort(objects.labels, kind="stable")
    bounds = np.searchsorted(objects.labels[order], np.arange(class_count + 1))
    return [order[start:end] for start, end in pairwise(bounds)]


def _params(settings: Settings, images: int, limit: int = _NO_LIMIT) -> _Params:
    return _Params(
        settings.iou_thresholds.tolist(),
        RECALLS.tolist(),
        [limit],
        [list(limits) for limits in AREA_RANGES],
        list(range(images)),
        [0],
    )


def _library() -> Any:
    try:
        import faster_coco_eval.faster_eval_api_cpp as library
    except ImportError as error:
        raise InstallError(
            f"faster-coco-eval cannot be imported: {error}",
            where="evaluator key 'backend'",
            advice="pip install faster-coco-eval, or give backend='pycocotools'",
        ) from error
    return library
