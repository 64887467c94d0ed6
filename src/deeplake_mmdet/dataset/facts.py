"""What a dataset gives to training, as counts for a run's record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.dataset.lake_dataset import DeepLakeDataset
from deeplake_mmdet.lake import clean_boxes, filter_images

__all__ = ["training_facts"]

_MOST_CLASSES = 2000  # named in the record; the most frequent ones


def training_facts(dataset: DeepLakeDataset) -> dict[str, Any]:
    """Count what training sees of a lake, and what it leaves out and why.

    Args:
        dataset: The dataset.

    Returns:
        ``images`` of the lake and ``samples`` of them that are used; ``images_left_out`` by reason; ``boxes``
        of the lake; ``boxes_used`` of images that are used, of these ``boxes_ignored`` (crowds, difficult
        ones); ``boxes_left_out`` by reason, of all images; ``classes``: boxes used by class, of more than
        2000 classes the most frequent. All plain values.
    """
    view, infos = dataset.view, dataset.data_list
    cleaning = clean_boxes(view)
    labels, table = view.labels, view.table
    used = infos.keep & (labels >= 0)
    if len(infos) < len(table):
        inside = np.zeros(len(table), bool)
        inside[infos.rows] = True
        used &= np.repeat(inside, np.diff(table.offsets))
    readable = np.flatnonzero(table.widths)
    small: NDArray[np.bool_] = np.zeros(0, bool)
    empty: NDArray[np.bool_] = small
    if not dataset.test_mode and dataset.filter_cfg is not None:
        small, empty = filter_images(view, readable, dataset.filter_cfg)
    images = {
        "cannot be decoded": len(table) - len(readable),
        "smaller than min_size": int(small.sum()),
        "without objects": int(empty.sum()),
    }
    boxes = {
        "of images that cannot be decoded": cleaning.unreadable,
        **cleaning.left_out,
        "of other classes": cleaning.others,
    }
    counts = np.bincount(labels[used], minlength=len(view.classes))
    order: NDArray[np.int64] = np.arange(len(counts))
    if len(counts) > _MOST_CLASSES:
        order = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
    return {
        "images": len(table),
        "samples": len(dataset),
        "images_left_out": {reason: count for reason, count in images.items() if count},
        "boxes": len(labels),
        "boxes_used": int(used.sum()),
        "boxes_ignored": int((used & infos.ignored).sum()),
        "boxes_left_out": {reason: count for reason, count in boxes.items() if count},
        "classes": {view.classes[label]: int(counts[label]) for label in order.tolist()},
    }
