"""The annotation table: all boxes, labels, flags and image sizes of a pinned lake as flat arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.schema.boxes import BoxFormat, corners_of, to_xywh, to_xyxy

__all__ = ["AnnotationTable", "BoxBlock"]


@dataclass(frozen=True, eq=False)
class BoxBlock:
    """Consecutive rows of a table with all their boxes.

    Attributes:
        boxes: Which boxes of the table these are.
        rows: The row of each, shape (k,), int64.
        xywh: Left, top, width, height in pixels of each, shape (k, 4), float64.
    """

    boxes: slice
    rows: NDArray[np.int64]
    xywh: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AnnotationTable:
    """Annotations of n rows with m boxes in all; no Python object per image or box.

    A table that lies in the cache is memory-mapped, so that all processes share its pages, and is pickled as
    the name of its folder.

    Attributes:
        box_format: How ``boxes`` are stored.
        offsets: Shape (n + 1,), int64: row i owns boxes ``offsets[i]:offsets[i + 1]``.
        boxes: Shape (m, 4), float64, in the lake's own format.
        labels: Shape (m,), int32, index into the lake's class names.
        widths: Shape (n,), int32, pixels.
        heights: Shape (n,), int32, pixels.
        areas: Shape (m,), float64, square pixels; None if the lake has no such column.
        iscrowd: Shape (m,), bool; None if the lake has no such column.
        difficult: Shape (m,), bool; None if the lake has no such column.
        ignore: Shape (m,), bool; None if the lake has no such column.
        img_ids: Shape (n,), int64; None if the lake has no such column.
        source_ids: All ids of images in their source, JSON in UTF-8, one behind the other, shape (bytes,),
            uint8; None where they are no other than ``img_ids``.
        source_id_ends: Where in ``source_ids`` that of each row ends, shape (n,), int64; None without them.
        turned: Shape (n,), bool: whether the image is turned by its EXIF orientation, so that size, boxes and
            masks mean the turned one; None if that is the same for all.
        base_rows: Of a view, its rows as row numbers of the whole lake (see `find_base_rows`), shape (n,),
            int64; None of a whole lake, and where they cannot be told.
        folder: Where the arrays lie in the cache; None if they are in memory.
        left_out: Roles whose columns do not fit the rows, and why, as they were not named by anybody.
    """

    box_format: BoxFormat
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int32]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    areas: NDArray[np.float64] | None = None
    iscrowd: NDArray[np.bool_] | None = None
    difficult: NDArray[np.bool_] | None = None
    ignore: NDArray[np.bool_] | None = None
    img_ids: NDArray[np.int64] | None = None
    source_ids: NDArray[np.uint8] | None = None
    source_id_ends: NDArray[np.int64] | None = None
    turned: NDArray[np.bool_] | None = None
    base_rows: NDArray[np.int64] | None = None
    folder: Path | None = field(default=None, repr=False)
    left_out: dict[str, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.widths)

    def span(self, row: int) -> slice:
        """The boxes of one row, as a slice into the flat arrays.

        Args:
            row: Row number.
        """
        return slice(self.offsets.item(row), self.offsets.item(row + 1))

    def image_id(self, row: int) -> int | float | str:
        """The id of a row's image in its source; the row number where none is recorded.

        Args:
            row: Row number.
        """
        if self.source_ids is not None and self.source_id_ends is not None:
            start = self.source_id_ends.item(row - 1) if row else 0
            found = json.loads(self.source_ids[start : self.source_id_ends.item(row)].tobytes())
            if isinstance(found, (int, float, str)):
                return found
        return row if self.img_ids is None else int(self.img_ids.item(row))

    def rows_of_boxes(self) -> NDArray[np.int64]:
        """The row of each box, shape (m,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def count_per_row(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the chosen boxes of each row.

        Args:
            chosen: Whether each box of the table counts, shape (m,), bool.

        Returns:
            Shape (n,), int64.
        """
        before = np.zeros(len(chosen) + 1, np.int32 if len(chosen) < 2**31 else np.int64)
        np.cumsum(chosen, out=before[1:])
        return np.diff(before[self.offsets]).astype(np.int64)

    def xyxy(self, row: int) -> NDArray[np.float64]:
        """Boxes of one row as (left, top, right, bottom) in pixels.

        Args:
            row: Row number.

        Returns:
            Shape (k, 4), float64.
        """
        return to_xyxy(self.boxes[self.span(row)], self.box_format, self.widths[row], self.heights[row])

    def corners(self, row: int) -> list[list[float]]:
        """Boxes of one row as plain lists; faster than `xyxy`.

        Args:
            row: Row number.

        Returns:
            [left, top, right, bottom] in pixels for each box.
        """
        size = self.widths.item(row), self.heights.item(row)
        return corners_of(self.boxes[self.span(row)], self.box_format, *size)

    def xywh(self, row: int) -> NDArray[np.float64]:
        """Boxes of one row as (left, top, width, height) in pixels.

        Args:
            row: Row number.

        Returns:
            Shape (k, 4), float64.
        """
        return to_xywh(self.boxes[self.span(row)], self.box_format, self.widths[row], self.heights[row])

    def blocks(self, boxes: int = 2**17) -> Iterator[BoxBlock]:
        """All boxes in blocks of whole rows; at least one, also if there are no boxes.

        Args:
            boxes: How many boxes a block has at most, unless a single row has more.
        """
        start, count = 0, len(self)
        while start < count or count == start == 0:
            first = int(self.offsets[start])
            stop = int(np.searchsorted(self.offsets, first + boxes, side="right")) - 1
            stop = min(max(stop, start + 1), count)
            span = slice(first, int(self.offsets[stop]))
            rows = np.repeat(np.arange(start, stop), np.diff(self.offsets[start : stop + 1]))
            sizes = self.widths[rows], self.heights[rows]
            yield BoxBlock(span, rows, to_xywh(self.boxes[span], self.box_format, *sizes))
            if stop == start:
                return
            start = stop
