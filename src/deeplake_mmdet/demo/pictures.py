"""What the demo shows before it trains: samples of a lake."""

from __future__ import annotations

from typing import Any

from deeplake_mmdet.report import MosaicItem, lake_items

__all__ = ["truth_items"]


def truth_items(dataset: Any, count: int) -> list[MosaicItem]:
    """The first images of a lake that hold objects, without predictions.

    Args:
        dataset: A `DeepLakeDataset`.
        count: Number of images.
    """
    filled = [index for index in range(len(dataset)) if dataset.get_cat_ids(index)]
    return lake_items(dataset.view, dataset.data_list.rows[filled[:count]].tolist())
