"""What LVIS says beside boxes: which classes an image was searched for, and how frequent classes are.

A detector may find anything, but LVIS's images were searched for few of its 1203 classes: for those of their
objects, and those of ``neg_category_ids``, of which there is nothing on the image. Of the classes named by
``not_exhaustive_category_ids`` there may be more objects than are marked.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, ColumnError
from deeplake_mmdet.evaluation.coco_scores import FREQUENCIES
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.truth import Scope, category_ids
from deeplake_mmdet.formats.coco_remainder import parts_of
from deeplake_mmdet.lake import IMAGE_REMAINDER, LakeView, facts_of_source, image_remainders

__all__ = ["LIMIT", "check_searched", "frequencies_of", "searched_of", "taking_part"]

_log = logging.getLogger("deeplake_mmdet")

LIMIT = 300  # of the predictions on one image, whatever their classes
_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")
_ADVICE = (
    "import LVIS's own file again (deeplake-mmdet import coco lvis_v1_val.json), or use CocoMetric, for "
    "which all classes are marked on all images"
)
_RARE, _COMMON = 10, 100  # images with the class, at most


def check_searched(view: LakeView) -> None:
    """Refuse a lake that does not know which classes its images were searched for.

    Args:
        view: A lake that will be scored.

    Raises:
        ColumnError: It lacks the column that an import of LVIS's file makes.
    """
    if image_remainders(view, [0]) is None:
        raise ColumnError(
            f"LVISMetric needs each image's {' and '.join(_LISTS)}, which this lake has not",
            where=f"lake {view.source.url}, column {IMAGE_REMAINDER!r}",
            advice=_ADVICE,
        )


def searched_of(scope: Scope) -> list[dict[str, list[int]]]:
    """Of each image, ``neg_category_ids`` and ``not_exhaustive_category_ids`` as class indices.

    Args:
        scope: The images; classes that are not selected are left out.

    Raises:
        ColumnError: See `check_searched`.
        AnnotationError: An image lacks one of the lists.
    """
    found = []
    for key, view in scope.views.items():
        labels = {number: label for label, number in enumerate(category_ids(view))}
        rows = [one.row for one in scope.found if one.key == key]
        remainders = image_remainders(view, rows)
        if remainders is None:
            check_searched(view)
        for row, remainder in zip(rows, remainders or (), strict=True):
            has = parts_of(remainder)[0]
            for name in _LISTS:
                if not isinstance(has.get(name), list) or not all(type(x) in (int, str) for x in has[name]):
                    raise AnnotationError(
                        f"LVISMetric needs the image's {name}, a list of category ids; it has "
                        f"{has.get(name)!r:.80}",
                        where=f"lake {view.source.url}, row {row}",
                        advice=f"leave the row out with query=, or {_ADVICE}",
                    )
            found.append({name: [labels[x] for x in has[name] if x in labels] for name in _LISTS})
    return found


def taking_part(truth: Instances, predictions: Instances) -> tuple[Instances, Instances]:
    """What LVIS scores of truth and predictions.

    Objects and predictions of area 0 are left out, as the ``lvis`` package does where it looks them up, after
    the best `LIMIT` predictions of each image have been taken, the first ones of equal scores. It has no
    crowds.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
    """
    counts = np.bincount(predictions.images)
    if counts.max(initial=0) > LIMIT:
        order = np.lexsort((-predictions.confidence(), predictions.images))
        places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        predictions = predictions.take(np.sort(order[places < LIMIT]))
    truth = replace(truth, iscrowd=None)
    return truth.take(truth.measured() > 0), predictions.take(predictions.measured() > 0)


def frequencies_of(views: Sequence[LakeView]) -> NDArray[np.str_]:
    """Whether classes are rare, common or frequent: ``'r'``, ``'c'`` or ``'f'``, shape (K,).

    As the first lake's categories say in ``frequency``. If they do not, by the number of training images that
    they state in ``image_count``, else by the number of images of the lakes that have the class: up to 10 are
    rare, up to 100 common. It is logged which.

    Args:
        views: The lakes that are scored, of the same classes.
    """
    stated = _stated(views[0])
    frequencies = [one.get("frequency") for one in stated]
    if all(one in FREQUENCIES for one in frequencies):
        return np.array(frequencies)
    counts = [one.get("image_count") for one in stated]
    if all(type(count) is int for count in counts):
        told, images = "image_count of the lake's categories", np.array(counts, np.int64)
    else:
        told = "how many images of what is scored have them"
        images = np.sum([_images_by_class(view) for view in views], axis=0, dtype=np.int64)
    _log.warning(
        f"{views[0].source.url}: categories do not say their frequency (r, c or f). It is told by {told}: up "
        f"to {_RARE} rare, up to {_COMMON} common"
    )
    return np.where(images <= _RARE, "r", np.where(images <= _COMMON, "c", "f"))


def _stated(view: LakeView) -> list[Any]:
    """What the source says of each class beyond id and name."""
    kept = facts_of_source(view).get("categories")
    if not isinstance(kept, list) or len(kept) != len(view.lake_classes):
        return [{} for _ in view.classes]
    return [parts_of(kept[view.lake_classes.index(name)])[0] for name in view.classes]


def _images_by_class(view: LakeView) -> NDArray[np.int64]:
    count, labels = len(view.classes), np.asarray(view.labels, np.int64)
    rows = np.repeat(np.arange(len(view.table)), np.diff(view.table.offsets))
    pairs = np.unique((rows * count + labels)[labels >= 0])
    return np.bincount(pairs % max(count, 1), minlength=count)
