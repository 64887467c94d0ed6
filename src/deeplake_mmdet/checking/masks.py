"""Masks that cannot be read, that are of no use, or that lie elsewhere than their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.annotations import RowCollector
from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake import LakeView

__all__ = ["read_masks"]

_ROWS = 64  # whose masks are in memory at once, at most
_PIXELS = 2**26  # of masks that are stored as pixels, in memory at once
_SLACK = 2.0  # pixels between the edges of a box and of its mask
_OVERLAP = 0.5  # of box and mask's box, intersection over union
_NAMED = 5


def read_masks(view: LakeView) -> tuple[RowCollector, list[str]]:
    """Look at all masks, some rows at a time.

    Args:
        view: A lake with a column of masks.

    Returns:
        Rows by kind of finding; and what is wrong with the first of those that cannot be read.

    Raises:
        StorageError: The lake cannot be read.
    """
    found, details = RowCollector(), list[str]()
    table = view.table
    rows = np.flatnonzero(np.diff(table.offsets) > 0)
    rows = rows[table.widths[rows] > 0]  # a mask's size is its image's
    for chosen in _groups(view, rows):
        for row, cell in zip(chosen, view.mask_cells(chosen), strict=True):
            at = np.array([row])
            try:
                masks = view.segmentations(row, cell)
            except AnnotationError as error:
                found.add("mask-unreadable", at)
                if len(details) < _NAMED:
                    details.append(f"row {row}: {error.what}")
                continue
            for mask, box in zip(masks, table.xywh(row), strict=True):
                extent = _extent(mask)
                if extent is None:
                    found.add("mask-none", at)
                elif not _fits(extent, box):
                    found.add("mask-misfit", at)
    return found, details


def _groups(view: LakeView, rows: NDArray[np.int64]) -> Iterator[list[int]]:
    """Rows whose masks may be in memory at once; at least one."""
    table = view.table
    pixels: NDArray[Any] = np.zeros(len(rows), np.int64)
    if view.columns[view.roles.gt_masks or ""].kind == "binarymask":
        pixels = np.diff(table.offsets)[rows] * table.widths[rows] * table.heights[rows]
    start, held = 0, 0
    for place, size in enumerate(pixels.tolist()):
        if place > start and (place - start == _ROWS or held + size > _PIXELS):
            yield rows[start:place].tolist()
            start, held = place, 0
        held += size
    if start < len(rows):
        yield rows[start:].tolist()


def _extent(mask: Any) -> NDArray[np.float64] | None:
    """Left, top, width and height of a COCO segmentation in pixels; None if training cannot use it."""
    from pycocotools import mask as coco_mask

    if isinstance(mask, list):
        parts = [
            np.asarray(part, np.float64).reshape(-1, 2)
            for part in mask
            if len(part) >= 6 and len(part) % 2 == 0
        ]
        if not parts:
            return None
        points = np.concatenate(parts)
        low, high = points.min(axis=0), points.max(axis=0)
        return np.array([*low, *(high - low)])
    if not mask:
        return None
    runs = mask if isinstance(mask["counts"], (str, bytes)) else coco_mask.frPyObjects(mask, *mask["size"])
    extent = np.asarray(coco_mask.toBbox(runs), np.float64)
    return extent if extent[2] > 0 and extent[3] > 0 else None


def _fits(extent: NDArray[np.float64], box: NDArray[np.float64]) -> bool:
    ends, of_box = (np.concatenate([each[:2], each[:2] + each[2:]]) for each in (extent, box))
    if np.abs(ends - of_box).max() <= _SLACK:
        return True
    inner = np.minimum(ends[2:], of_box[2:]) - np.maximum(ends[:2], of_box[:2])
    common = float(np.prod(np.maximum(inner, 0)))
    union = float(np.prod(extent[2:]) + np.prod(np.maximum(box[2:], 0))) - common
    return common >= _OVERLAP * union
