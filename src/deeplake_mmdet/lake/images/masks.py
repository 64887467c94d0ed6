"""Instance masks as COCO segmentations, exactly as the lake stores them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.segmentation import segmentation_fault
from deeplake_mmdet.lake.schema.columns import ColumnFacts

__all__ = ["read_mask_cells", "segmentations_of"]


def read_mask_cells(
    handle: OpenLake, column: ColumnFacts, rows: Sequence[int], offsets: NDArray[np.int64]
) -> list[Any]:
    """Read the mask cells of some rows in one call.

    Columns of sequences are read only where the row has boxes: Deep Lake 4.7 waits for ever for those of a
    lake's first rows if these are empty.

    Args:
        handle: Open lake.
        column: Facts of the mask column.
        rows: Row numbers; at least one.
        offsets: Of the annotation table: boxes ``offsets[i]:offsets[i + 1]`` are those of row i.

    Returns:
        One cell for each row, as Deep Lake gives it; an empty list for a row that was not read.
    """
    wanted = [int(row) for row in rows if not column.is_sequence or offsets[row + 1] > offsets[row]]
    # A list of rows: a slice would decode whole chunks of masks.
    found = iter(handle[column.name][wanted] if wanted else ())
    has_boxes = set(wanted)
    return [next(found) if int(row) in has_boxes else [] for row in rows]


def segmentations_of(
    cell: Any, column: ColumnFacts, row: int, count: int, size: tuple[int, int]
) -> list[Any]:
    """The COCO segmentations of one row's cell, one per object in the row's order.

    Text columns hold one JSON list per row, as ``import_coco`` writes it, and come back as they are. Polygon
    columns hold in pixels one polygon per object, or as sequences several; no coordinate is moved. Binary
    masks become run lengths. What comes back can be given to pycocotools (see `segmentation_fault`).

    Args:
        cell: See `read_mask_cells`.
        column: Facts of a column of text, of polygons, of binary masks of shape (height, width, objects), or
            of sequences of binary masks of shape (height, width).
        row: Row number.
        count: Number of boxes in the row.
        size: Height and width of the image in pixels.

    Returns:
        ``count`` entries: a list of polygons ``[x, y, x, y, ...]`` in pixels, an RLE dict
        ``{'size': [height, width], 'counts': text or list}``, or None (text columns only).

    Raises:
        AnnotationError: The cell cannot be read, lists another number of objects, or has a mask that is of
            another size than the image or that COCO's tools cannot read.
    """
    where = f"column {column.name!r}, row {row}"
    if column.kind == "binarymask":
        return _from_pixels(cell, column.is_sequence, count, size, where)
    found = (
        _from_polygons(cell, column.is_sequence, count, where)
        if column.kind == "polygon"
        else _from_json(cell, count, where)
    )
    for place, mask in enumerate(found):
        if (fault := segmentation_fault(mask, size)) is not None:
            raise AnnotationError(
                f"The mask of object {place} cannot be used: {fault}",
                where=where,
                advice="repair the row, import the lake again, or leave the row out with query=",
            )
    return found


def _from_json(text: Any, count: int, where: str) -> list[Any]:
    try:
        found = json.loads(text) if text else []
    except (TypeError, ValueError, RecursionError):
        raise AnnotationError(
            "The segmentation cell is not JSON", where=where, advice="import the lake again"
        ) from None
    if not isinstance(found, list) or len(found) != count:
        listed = len(found) if isinstance(found, list) else "no"
        raise _other_number(count, f"its segmentation cell lists {listed} entries", where)
    return found


def _from_pixels(cell: Any, several: bool, count: int, size: tuple[int, int], where: str) -> list[Any]:
    from pycocotools import mask as coco_mask

    masks = np.zeros((*size, 0), bool) if cell is None else _stacked(cell, several, where)
    if not count and not masks.size:
        return []
    if masks.ndim != 3 or masks.shape[2] != count:
        raise _other_number(count, f"its mask cell has the shape {masks.shape}", where)
    if masks.shape[:2] != size:
        raise _other_size(masks.shape[:2], size, where)
    # Whatever is not zero belongs to the object: a cast would lose fractions and multiples of 256.
    runs = coco_mask.encode(np.asfortranarray(masks != 0).view(np.uint8))
    # MMDetection ignores an instance whose counts are bytes, without a word.
    return [{"size": list(size), "counts": run["counts"].decode("ascii")} for run in runs]


def _stacked(cell: Any, several: bool, where: str) -> NDArray[Any]:
    """Masks of one row, shape (height, width, objects); of sequences, objects of the same shape."""
    if not several:
        return np.asarray(cell)
    masks = [np.asarray(mask) for mask in cell]
    masks = [mask[..., 0] if mask.ndim == 3 and mask.shape[2] == 1 else mask for mask in masks]
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        listed = ", ".join(map(str, sorted(shapes)))
        raise AnnotationError(
            f"The masks of a row's sequence have the shapes {listed}, not all (height, width) of the image",
            where=where,
            advice="repair the row; each object has one mask, which covers the whole image",
        )
    return np.stack(masks, axis=-1) if masks else np.zeros((0, 0, 0), bool)


def _from_polygons(cell: Any, several: bool, count: int, where: str) -> list[Any]:
    objects = [] if cell is None else list(cell)
    if len(objects) != count:
        raise _other_number(count, f"its polygon cell holds {len(objects)} objects", where)
    return [[_flat(part, where) for part in (item if several else [item])] for item in objects]


def _flat(part: Any, where: str) -> list[float]:
    try:
        points = np.asarray(part, np.float64)
    except (TypeError, ValueError):  # no numbers, or points of several lengths
        points = np.zeros(0)
        fits = False
    else:
        fits = not points.size or (points.ndim == 2 and points.shape[1] == 2)
    if not fits or not np.isfinite(points).all():
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
