"""Boxes of lakes that do not say how they are stored, as the old integration took them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.table.table import AnnotationTable

__all__ = ["LEGACY", "table_of_undeclared"]

LEGACY = "legacy"
_PIXELS = BoxFormat("ltwh", "pixel")
_FRACTIONS = BoxFormat("ccwh", "fractional")
_SAMPLED = 2**20  # boxes


def table_of_undeclared(
    read: Callable[[BoxFormat], AnnotationTable], column: ColumnFacts
) -> tuple[AnnotationTable, str]:
    """Read the table of a lake whose boxes declare no format.

    They are (left, top, width, height) in pixels; if the mean of their numbers is below 1, (centre x,
    centre y, width, height) as fractions of the image.

    Args:
        read: Gives the table with the boxes in a format.
        column: Facts of the box column.

    Returns:
        The table, and what to tell the user; an empty text if there are no boxes.
    """
    table = read(_PIXELS)
    boxes = table.boxes[:_SAMPLED]
    if not len(boxes):
        return table, ""
    mean = float(np.mean(boxes))
    chosen = _PIXELS if mean >= 1 else _FRACTIONS
    if chosen is _FRACTIONS:
        table = read(_FRACTIONS)
    return table, (
        f"Column {column.name!r} does not say how its boxes are stored. They are taken for '{chosen}', as "
        f"the old integration did where their mean is {'1 or more' if chosen is _PIXELS else 'below 1'} "
        f"(it is {mean:.4g}). Say it with box_format='...' in data.train, data.val and data.test."
    )
