"""Instance masks as COCO segmentations: polygons and RLE, exactly as they were imported."""

from __future__ import annotations

import json
from typing import Any

from deeplake_mmdet.errors import AnnotationError

__all__ = ["read_segmentations"]


def read_segmentations(handle: Any, column: str, row: int, count: int) -> list[Any]:
    """The COCO segmentations of one row, one per object in the row's order.

    Args:
        handle: Open lake.
        column: Text column holding one JSON list per row, as ``import_coco`` writes it.
        row: Row number.
        count: Number of boxes in the row.

    Returns:
        ``count`` entries: a list of polygons ``[x, y, x, y, ...]`` in pixels, an RLE dict
        ``{'size': [height, width], 'counts': ...}``, or None.

    Raises:
        AnnotationError: The cell is no JSON list, or its length differs from ``count``.
    """
    where = f"column {column!r}, row {row}"
    text = handle[column][row]
    try:
        found = json.loads(text) if text else []
    except ValueError:
        raise AnnotationError(
            "The segmentation cell is not JSON", where=where, advice="import the lake again"
        ) from None
    if not isinstance(found, list) or len(found) != count:
        raise AnnotationError(
            f"The row has {count} boxes, but its segmentation cell does not list {count} entries",
            where=where,
            advice="repair the row, or import the lake again",
        )
    return found
