"""Instance masks as COCO segmentations, exactly as the lake stores them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.columns import ColumnFacts

__all__ = ["read_mask_cells", "segmentations_of"]


def read_mask_cells(handle: Any, column: ColumnFacts, rows: Sequence[int]) -> list[Any]:
    """Mask cells of some rows, as Deep Lake gives them, in one call.

    Args:
        handle: Open lake.
        column: Facts of the mask column.
        rows: Row numbers; at least one.
    """
    # A list of rows: a slice would decode whole chunks of masks.
    return list(handle[column.name][[int(row) for row in rows]])


def segmentations_of(
    cell: Any, column: ColumnFacts, row: int, count: int, size: tuple[int, int]
) -> list[Any]:
    """The COCO segmentations of one row's cell, one per object in the row's order.

    Text columns hold one JSON list per row, as ``import_coco`` writes it, and come back as they are. Polygon
    columns hold in pixels one polygon per object, or as sequences several; no coordinate is moved. Binary
    masks become run lengths.

    Args:
        cell: See `read_mask_cells`.
        column: Facts of a column of text, polygons or binary masks of shape (height, width, objects).
        row: Row number.
        count: Number of boxes in the row.
        size: Height and width of the image in pixels.

    Returns:
        ``count`` entries: a list of polygons ``[x, y, x, y, ...]`` in pixels, an RLE dict
        ``{'size': [height, width], 'counts': text or list}``, or None (text columns only).

    Raises:
        AnnotationError: The cell cannot be read, lists another number of objects, or has masks of another
            size than the image.
    """
    where = f"column {column.name!r}, row {row}"
    if column.kind == "binarymask":
        return _from_pixels(cell, count, size, where)
    if column.kind == "polygon":
        return _from_polygons(cell, column.is_sequence, count, where)
    return _from_json(cell, count, size, where)


def _from_json(text: Any, count: int, size: tuple[int, int], where: str) -> list[Any]:
    try:
        found = json.loads(text) if text else []
    except (TypeError, ValueError):
        raise AnnotationError(
            "The segmentation cell is not JSON", where=where, advice="import the lake again"
        ) from None
    if not isinstance(found, list) or len(found) != count:
        listed = len(found) if isinstance(found, list) else "no"
        raise _other_number(count, f"its segmentation cell lists {listed} entries", where)
    for mask in found:
        if isinstance(mask, dict) and list(mask.get("size") or size) != list(size):
            raise _other_size(tuple(mask["size"]), size, where)
    return found


def _from_pixels(cell: Any, count: int, size: tuple[int, int], where: str) -> list[Any]:
    from pycocotools import mask as coco_mask

    masks = np.zeros((*size, 0), bool) if cell is None else np.asarray(cell)
    if not count and not masks.size:
        return []
    if masks.ndim != 3 or masks.shape[2] != count:
        raise _other_number(count, f"its mask cell has the shape {masks.shape}", where)
    if masks.shape[:2] != size:
        raise _other_size(masks.shape[:2], size, where)
    runs = coco_mask.encode(np.asfortranarray(masks, dtype=np.uint8))
    # MMDetection ignores an instance whose counts are bytes, without a word.
    return [{"size": list(size), "counts": run["counts"].decode("ascii")} for run in runs]


def _from_polygons(cell: Any, several: bool, count: int, where: str) -> list[Any]:
    objects = [] if cell is None else list(cell)
    if len(objects) != count:
        raise _other_number(count, f"its polygon cell holds {len(objects)} objects", where)
    return [[_flat(part, where) for part in (item if several else [item])] for item in objects]


def _flat(part: Any, where: str) -> list[float]:
    points = np.asarray(part, np.float64)
    if points.size and (points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all()):
        raise AnnotationError(
            f"A polygon must be finite points of shape (k, 2), not {points.shape}",
            where=where,
            advice="repair the row",
        )
    return list(points.reshape(-1).tolist())


def _other_number(count: int, what: str, where: str) -> AnnotationError:
    return AnnotationError(
        f"The row has {count} boxes, but {what}",
        where=where,
        advice="repair the row, or import the lake again; masks need one entry for each box",
    )


def _other_size(found: tuple[int, ...], size: tuple[int, int], where: str) -> AnnotationError:
    return AnnotationError(
        f"A mask has height and width {tuple(found)}, its image {size}",
        where=where,
        advice="repair the row; masks cover the whole image as it is stored",
    )
