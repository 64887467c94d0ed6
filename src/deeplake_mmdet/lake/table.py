"""The annotation table: all boxes, labels, flags and image sizes of a pinned lake as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.boxes import BoxFormat, to_xywh, to_xyxy
from deeplake_mmdet.lake.images import read_sizes
from deeplake_mmdet.lake.roles import Roles

__all__ = ["AnnotationTable", "build_table"]

# Whole columns at once would cost gigabytes at 10^7 rows; short blocks are slow to read.
_BLOCK = 50_000


@dataclass(frozen=True)
class AnnotationTable:
    """Annotations of n rows with m boxes in all; no Python object per image or box.

    Attributes:
        box_format: How ``boxes`` are stored.
        offsets: Shape (n + 1,), int64: row i owns boxes ``offsets[i]:offsets[i + 1]``.
        boxes: Shape (m, 4), float64, in the lake's own format.
        labels: Shape (m,), int64, index into the lake's class names.
        widths: Shape (n,), int32, pixels.
        heights: Shape (n,), int32, pixels.
        areas: Shape (m,), float64, square pixels; None if the lake has no such column.
        iscrowd: Shape (m,), bool; None likewise.
        difficult: Shape (m,), bool; None likewise.
        ignore: Shape (m,), bool; None likewise.
        img_ids: Shape (n,), int64; None likewise.
    """

    box_format: BoxFormat
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    areas: NDArray[np.float64] | None = None
    iscrowd: NDArray[np.bool_] | None = None
    difficult: NDArray[np.bool_] | None = None
    ignore: NDArray[np.bool_] | None = None
    img_ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.widths)

    def span(self, row: int) -> slice:
        """The boxes of one row, as a slice into the flat arrays."""
        return slice(int(self.offsets[row]), int(self.offsets[row + 1]))

    def rows_of_boxes(self) -> NDArray[np.int64]:
        """The row of each box, shape (m,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def xyxy(self, row: int) -> NDArray[np.float64]:
        """Boxes of one row as (left, top, right, bottom) in pixels, shape (k, 4), float64."""
        return to_xyxy(self.boxes[self.span(row)], self.box_format, self.widths[row], self.heights[row])

    def xywh(self, row: int) -> NDArray[np.float64]:
        """Boxes of one row as (left, top, width, height) in pixels, shape (k, 4), float64."""
        return to_xywh(self.boxes[self.span(row)], self.box_format, self.widths[row], self.heights[row])

    def all_xywh(self) -> NDArray[np.float64]:
        """All boxes as (left, top, width, height) in pixels, shape (m, 4), float64."""
        rows = self.rows_of_boxes()
        return to_xywh(self.boxes, self.box_format, self.widths[rows], self.heights[rows])


def build_table(handle: Any, roles: Roles, box_format: BoxFormat, class_count: int | None) -> AnnotationTable:
    """Read the annotation columns of an open lake.

    Args:
        handle: Open lake.
        roles: Column names.
        box_format: How the lake stores boxes.
        class_count: Number of class names, to check labels against; None if unknown.

    Raises:
        AnnotationError: The lake is empty; a row's boxes are not (k, 4) finite numbers; boxes, labels or
            flags differ in number; a label lies outside the class names.
        ImageError: An image cannot be decoded, as far as ``SHAPE()`` shows it.
    """
    count = len(handle)
    if count == 0:
        raise AnnotationError("The lake has no rows", where="the pinned version", advice="import data first")
    box_counts, boxes = _ragged(handle, roles.gt_bboxes, count, width=4)
    table: dict[str, Any] = {"boxes": boxes.astype(np.float64, copy=False)}
    label_counts, labels = _ragged(handle, roles.gt_labels, count)
    _check_counts(box_counts, label_counts, roles.gt_bboxes, roles.gt_labels)
    offsets = np.concatenate([[0], np.cumsum(box_counts)]).astype(np.int64)
    table["labels"] = _whole_numbers(labels, roles.gt_labels)
    _check_values(table["boxes"], table["labels"], offsets, roles, class_count)
    for role, dtype in (("area", float), ("iscrowd", bool), ("difficult", bool), ("ignore", bool)):
        column = getattr(roles, role)
        if column is None:
            continue
        counts, values = _ragged(handle, column, count)
        _check_counts(box_counts, counts, roles.gt_bboxes, column)
        table["areas" if role == "area" else role] = values.astype(dtype)
    if roles.width and roles.height:
        widths, heights = _scalars(handle, roles.width, count), _scalars(handle, roles.height, count)
        _check_sizes(widths, heights, roles)
    else:
        heights, widths = read_sizes(handle, roles.img).T
    if roles.img_id:
        table["img_ids"] = _scalars(handle, roles.img_id, count)
    return AnnotationTable(
        box_format=box_format,
        offsets=offsets,
        widths=widths.astype(np.int32),
        heights=heights.astype(np.int32),
        **table,
    )


def _ragged(handle: Any, column: str, count: int, width: int = 0) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Number of entries per row, and all entries in one array: (m,) or, with ``width``, (m, width)."""
    counts = np.zeros(count, np.int64)
    blocks = []
    for start in range(0, count, _BLOCK):
        cells = handle[column][start : min(start + _BLOCK, count)]
        flat = [_flat(cell, width, column, start + offset) for offset, cell in enumerate(cells)]
        counts[start : start + len(flat)] = [len(values) for values in flat]
        # Empty cells come back with an element type of their own.
        if filled := [values for values in flat if len(values)]:
            blocks.append(np.concatenate(filled))
    empty = np.zeros((0, width)) if width else np.zeros(0)
    return counts, np.concatenate(blocks) if blocks else empty


def _flat(cell: Any, width: int, column: str, row: int) -> NDArray[Any]:
    # None is what rows hold that are older than their column.
    array = np.zeros((0, width or 1)) if cell is None else np.asarray(cell)
    if not width:
        return array.reshape(-1)
    if array.size and (array.ndim == 0 or array.shape[-1] != width):
        raise AnnotationError(
            f"A box has {width} numbers, but this cell has the shape {array.shape}",
            where=f"column {column!r}, row {row}",
            advice="store boxes as (k, 4)",
        )
    return array.reshape(-1, width)


def _scalars(handle: Any, column: str, count: int) -> NDArray[np.int64]:
    counts, values = _ragged(handle, column, count)
    wrong = np.flatnonzero(counts != 1)
    if len(wrong):
        raise AnnotationError(
            f"Row {wrong[0]} has {counts[wrong[0]]} values where one is expected ({len(wrong)} such rows)",
            where=f"column {column!r}, {_rows(wrong)}",
            advice="fill these rows, or leave them out with query=",
        )
    return values.astype(np.int64)


def _whole_numbers(labels: NDArray[Any], column: str) -> NDArray[np.int64]:
    if labels.dtype.kind in "iub" or not len(labels):
        return labels.astype(np.int64)
    raise AnnotationError(
        f"Labels must be whole numbers, the column holds {labels.dtype}",
        where=f"column {column!r}",
        advice="store the index into class_names, or name another column in tensors=dict(gt_labels=...)",
    )


def _check_counts(expected: NDArray[np.int64], found: NDArray[np.int64], boxes: str, other: str) -> None:
    wrong = np.flatnonzero(expected != found)
    if len(wrong):
        row = int(wrong[0])
        raise AnnotationError(
            f"Row {row} has {expected[row]} boxes but {found[row]} values in {other!r}"
            f" ({len(wrong)} such rows)",
            where=f"columns {boxes!r} and {other!r}, {_rows(wrong)}",
            advice="repair these rows, or leave them out with query=",
        )


def _check_values(
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    offsets: NDArray[np.int64],
    roles: Roles,
    class_count: int | None,
) -> None:
    infinite = np.flatnonzero(~np.isfinite(boxes).all(axis=1))
    if len(infinite):
        raise AnnotationError(
            f"{len(infinite)} boxes are not finite numbers",
            where=f"column {roles.gt_bboxes!r}, {_rows(_owners(offsets, infinite))}",
            advice="repair these rows, or leave them out with query=",
        )
    if class_count is None:
        return
    outside = np.flatnonzero((labels < 0) | (labels >= class_count))
    if len(outside):
        raise AnnotationError(
            f"Label {labels[outside[0]]} lies outside the {class_count} class names"
            f" ({len(outside)} such labels)",
            where=f"column {roles.gt_labels!r}, {_rows(_owners(offsets, outside))}",
            advice="correct class_names in the column's metadata, or the labels",
        )


def _check_sizes(widths: NDArray[np.int64], heights: NDArray[np.int64], roles: Roles) -> None:
    wrong = np.flatnonzero((widths <= 0) | (heights <= 0))
    if len(wrong):
        raise AnnotationError(
            f"{len(wrong)} rows give no positive image size",
            where=f"columns {roles.width!r} and {roles.height!r}, {_rows(wrong)}",
            advice="repair these rows",
        )


def _owners(offsets: NDArray[np.int64], boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(np.searchsorted(offsets, boxes, side="right") - 1)


def _rows(rows: NDArray[np.int64]) -> str:
    listed = ", ".join(map(str, rows[:10].tolist()))
    return f"row {listed}" if len(rows) == 1 else f"rows {listed}{', ...' if len(rows) > 10 else ''}"
