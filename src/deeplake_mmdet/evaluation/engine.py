"""COCO's matching and accumulation by either of two engines that give the same numbers."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import InstallError, ProcessError
from deeplake_mmdet.evaluation.instances import Instances

__all__ = [
    "AREA_RANGES",
    "BACKENDS",
    "RECALLS",
    "Curves",
    "Matching",
    "Settings",
    "coco_entries",
    "evaluator",
    "usable",
]

BACKENDS = ("hotcoco", "pycocotools")
# COCO's: all, small, medium, large, in square pixels.
AREA_RANGES = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
RECALLS = np.linspace(0.0, 1.0, 101)
# Beyond all of them, so that such an object is ignored in each; COCO has no other sign for one that is to be
# ignored and is no crowd.
_IGNORED = 1e300
_IMAGES_AT_ONCE = 128
_USED_BY: list[int] = []  # the process whose threads hotcoco runs on


def _default_thresholds() -> NDArray[np.float64]:
    return np.linspace(0.5, 0.95, 10, dtype=np.float64)


@dataclass(frozen=True)
class Settings:
    """How to match and count.

    Attributes:
        iou_thresholds: Ascending, shape (T,).
        limits: Numbers of predictions per image and class that take part, ascending, M of them.
        by_mask: Overlap of masks instead of boxes.
        by_class: False for proposals: labels play no part.
        area_ranges: Least and largest area, square pixels, A of them.
        federated: LVIS's rules: what was found of a class counts on images that were searched for it.
    """

    iou_thresholds: NDArray[np.float64] = field(default_factory=_default_thresholds)
    limits: tuple[int, ...] = (100, 300, 1000)
    by_mask: bool = False
    by_class: bool = True
    area_ranges: tuple[tuple[float, float], ...] = AREA_RANGES
    federated: bool = False


@dataclass(frozen=True)
class Curves:
    """Precision and recall; -1 where there is no truth to be found.

    Attributes:
        precision: At `RECALLS`, shape (T, R, K, A, M): IoU thresholds, recalls, classes, area ranges, limits.
        recall: Highest recall, shape (T, K, A, M).
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


class Matching:
    """What images tell once their predictions are matched: all that scores need, without the boxes.

    Processes that share the work each match their own images; `curves` joins them.

    Args:
        class_count: Number of classes K.
        settings: How.

    Raises:
        InstallError: hotcoco cannot be imported.
        ProcessError: This process is a fork of one that has scored.
    """

    def __init__(self, class_count: int, settings: Settings) -> None:
        library = _hotcoco()
        kind = "segm" if settings.by_mask else "bbox"
        self._settings, self._most = settings, 1
        self._stream = library.StreamingEval(
            _categories(class_count), kind, settings.federated, _params(library, class_count, settings)
        )

    def add(
        self,
        truth: Instances,
        predictions: Instances,
        numbers: NDArray[np.int64],
        searched: Sequence[Mapping[str, list[int]]] | None = None,
    ) -> None:
        """Match some images.

        Args:
            truth: Ordered by image.
            predictions: Ordered by image.
            numbers: Of the images, shape (images,), by the place that ``images`` of both names. Equal scores
                of several images are ordered by it; an image that comes again takes the place of the first.
            searched: For each image LVIS's ``neg_category_ids`` and ``not_exhaustive_category_ids``, as class
                indices; if ``federated``.
        """
        with _no_search_for_circles():
            for start in range(0, len(numbers), _IMAGES_AT_ONCE):
                some = numbers[start : start + _IMAGES_AT_ONCE]
                wanted, found = (side.of_images(start, start + len(some)) for side in (truth, predictions))
                facts = searched[start : start + len(some)] if searched else ({} for _ in some)
                images = [{"id": number, **more} for number, more in zip(some.tolist(), facts, strict=True)]
                entries = _found(found, numbers, self._settings.by_mask)
                self._stream.update(images, coco_entries(wanted, numbers), entries)
                self._most = max(self._most, int(np.bincount(found.images).max(initial=0)))

    @staticmethod
    def curves(parts: Iterable[Matching]) -> Curves:
        """Precision and recall of all images of some matchings, which are used up by it.

        Args:
            parts: Of equal settings; they may have come from other processes, for they pickle.
        """
        parts = list(parts)
        streams = [part._stream for part in parts]
        joined = streams[0] if len(streams) == 1 else _hotcoco().StreamingEval.merge(streams)
        evaluation = joined.finalize()
        params = evaluation.params
        # Limits that no image reaches give the same curves, which are large.
        most = np.minimum(parts[0]._settings.limits, max(part._most for part in parts))
        limits, places = np.unique(most, return_inverse=True)
        params.max_dets = limits.tolist()
        evaluation.params = params
        evaluation.accumulate()
        found = evaluation.eval
        return Curves(found["precision"][..., places], found["recall"][..., places])


@contextlib.contextmanager
def _no_search_for_circles() -> Iterator[None]:
    """Python's collector at rest: entries come and go by the thousand, and it would walk the heap often."""
    at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if at_work:
            gc.enable()


def evaluator(
    truth: Instances, predictions: Instances, class_count: int, image_count: int, settings: Settings
) -> Any:
    """hotcoco's ``COCOeval`` after matching, for what needs all annotations at once.

    Annotations are numbered from 1 in the order of the arrays.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        class_count: Number of classes K.
        image_count: Number of images.
        settings: How to match.

    Raises:
        InstallError: See `Matching`.
        ProcessError: See `Matching`.
    """
    library = _hotcoco()
    images = [{"id": number} for number in range(image_count)]
    more: dict[str, Any] = {"segmentation": truth.rles()} if settings.by_mask else {}
    wanted = library.COCO.from_arrays(
        images, _categories(class_count), truth.images, truth.labels, truth.xywh,
        area=_areas(truth), iscrowd=truth.crowds(), **more,
    )  # fmt: skip
    more = {"segmentation": predictions.rles()} if settings.by_mask else {}
    found = wanted.load_res(_table(predictions, predictions.images), **more)
    if settings.by_mask:  # those of the boxes otherwise
        found.update_anns(ids=np.arange(1, len(predictions) + 1), area=predictions.measured())
    evaluation = library.COCOeval(wanted, found, "segm" if settings.by_mask else "bbox")
    params = _params(library, class_count, settings)
    params.img_ids = list(range(image_count))
    evaluation.params = params
    evaluation.evaluate()
    return evaluation


def coco_entries(objects: Instances, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Truth or predictions as COCO's entries, numbered from 1.

    Args:
        objects: Truth or predictions.
        numbers: Of the images, by the place that ``objects.images`` names.
    """
    columns: dict[str, Iterable[Any]] = {
        "id": range(1, len(objects) + 1),
        "image_id": numbers[objects.images].tolist(),
        "category_id": objects.labels.tolist(),
        "bbox": objects.xywh.tolist(),
        "area": _areas(objects).tolist(),
        "iscrowd": objects.crowds().astype(int).tolist(),
    }
    if objects.scores is not None:
        columns["score"] = objects.scores.tolist()
    if objects.masks is not None:
        columns["segmentation"] = objects.rles()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _found(objects: Instances, numbers: NDArray[np.int64], by_mask: bool) -> Any:
    """Predictions as a table; with masks as entries without boxes, for a mask's area counts then."""
    if not by_mask:
        return _table(objects, numbers[objects.images])
    columns = (
        numbers[objects.images].tolist(), objects.labels.tolist(), objects.confidence().tolist(),
        objects.rles(),
    )  # fmt: skip
    names = ("image_id", "category_id", "score", "segmentation")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _table(objects: Instances, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.column_stack([numbers, objects.xywh, objects.confidence(), objects.labels]).astype(np.float64)


def _areas(truth: Instances) -> NDArray[np.float64]:
    return np.where(truth.ignored() & ~truth.crowds(), _IGNORED, truth.measured())


def _categories(count: int) -> list[dict[str, Any]]:
    return [{"id": label, "name": str(label)} for label in range(count)]


def _params(library: Any, class_count: int, settings: Settings) -> Any:
    params = library.Params("segm" if settings.by_mask else "bbox")
    params.iou_thrs = settings.iou_thresholds.tolist()
    params.rec_thrs = RECALLS.tolist()
    params.max_dets = list(settings.limits)
    params.area_rng = [list(limits) for limits in settings.area_ranges]
    params.area_rng_lbl = [str(number) for number in range(len(settings.area_ranges))]
    params.cat_ids = list(range(class_count))
    params.use_cats = settings.by_class
    return params


def usable() -> bool:
    """Whether hotcoco's threads run in this process: a fork of one that has scored has lost them."""
    return _USED_BY in ([], [os.getpid()])


def _hotcoco() -> Any:
    try:
        import hotcoco
    except ImportError as error:
        raise InstallError(
            f"hotcoco cannot be imported: {error}",
            where="evaluator key 'backend'",
            advice="pip install hotcoco, or give backend='pycocotools'",
        ) from error
    if not usable():
        raise ProcessError(
            "hotcoco would wait for ever: its threads belong to the process that this one is a fork of",
            where=f"process {os.getpid()}",
            advice="start processes by 'spawn', or fork before the first evaluation",
        )
    _USED_BY[:] = [os.getpid()]
    return hotcoco
