"""Rows whose annotations cannot be read, found one by one: reading a table stops at the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.schema.labels import LabelCoding, labels_in
from deeplake_mmdet.lake.schema.roles import Roles
from deeplake_mmdet.lake.table.blocks import Block, read_blocks, read_rows

__all__ = ["BOXES", "COUNTS", "LABELS", "SIZES", "UNKNOWN", "RowFaults", "find_faults"]

BOXES = "boxes are not (k, 4) finite numbers"
LABELS = "labels are no whole numbers or names"
UNKNOWN = "a label is none of the classes"
COUNTS = "boxes and labels differ in number"
SIZES = "the recorded image size is not positive"
_ROWS = 4_000  # in which a cell that cannot be read is looked for
_MOST_UNKNOWN = 20  # different labels that are named


class RowFaults:
    """Rows whose annotations cannot be read, by reason.

    Args:
        count: Number of rows of the lake.

    Attributes:
        rows: By reason, whether it holds for each row, shape (n,), bool.
        unknown: Labels that are none of the classes, with the number of objects; the first twenty of them.
    """

    def __init__(self, count: int) -> None:
        self.rows: dict[str, NDArray[np.bool_]] = {}
        self.unknown: dict[str, int] = {}
        self._count = count

    def add(self, reason: str, rows: NDArray[np.integer[Any]]) -> None:
        """Mark rows.

        Args:
            reason: Why they cannot be read.
            rows: Their numbers, shape (k,).
        """
        if len(rows):
            self.rows.setdefault(reason, np.zeros(self._count, bool))[rows] = True

    def any(self) -> NDArray[np.bool_]:
        """Whether each row has a fault of any kind, shape (n,)."""
        found = np.zeros(self._count, bool)
        for marked in self.rows.values():
            found |= marked
        return found


def find_faults(handle: OpenLake, roles: Roles, coding: LabelCoding) -> RowFaults:
    """Find the rows for which an annotation table cannot be built.

    Args:
        handle: Open lake.
        roles: Column names.
        coding: What the labels are.

    Returns:
        The rows, by reason; memory grows by some bytes for each row.

    Raises:
        StorageError: The storage failed.
    """
    count = len(handle)
    faults = RowFaults(count)
    boxes, labels = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for block in _readable(handle, str(roles.gt_bboxes), faults, BOXES, width=4):
        boxes[block.start : block.start + len(block.counts)] = block.counts
        numbers = block.values.dtype.kind in "iubf"
        bad = ~np.isfinite(block.values).all(axis=1) if numbers else np.ones(len(block.values), bool)
        faults.add(BOXES, _rows_of(block, bad))
    for block in _readable(handle, coding.column, faults, LABELS, text=bool(coding.names)):
        if coding.names:
            block = _texts(block, coding, faults, boxes)
        labels[block.start : block.start + len(block.counts)] = block.counts
        _check_labels(block, coding, faults)
    faults.add(COUNTS, np.flatnonzero((boxes != labels) & ~faults.any()))
    for column in (roles.width, roles.height) if roles.width and roles.height else ():
        for block in _readable(handle, str(column), faults, SIZES):
            faults.add(SIZES, block.start + np.flatnonzero(block.counts != 1))
            if block.values.dtype.kind in "iuf":
                wrong = ~((block.values > 0) & (block.values < 2**31) & (block.values % 1 == 0))
                faults.add(SIZES, _rows_of(block, wrong))
    return faults


def _rows_of(block: Block, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    return block.start + np.repeat(np.arange(len(block.counts)), block.counts)[chosen]


def _readable(
    handle: OpenLake, column: str, faults: RowFaults, reason: str, *, width: int = 0, text: bool = False
) -> Iterator[Block]:
    """The blocks of a column; rows whose cells cannot be read are marked, and empty in their block."""
    start = 0
    try:
        for block in read_blocks(handle, column, width=width, text=text):
            yield block
            start = block.start + len(block.counts)
    except AnnotationError:
        for first in range(start, len(handle), _ROWS):
            last = min(first + _ROWS, len(handle))
            yield from _bisected(handle, column, first, last, faults, reason, width, text)


def _bisected(
    handle: OpenLake,
    column: str,
    start: int,
    stop: int,
    faults: RowFaults,
    reason: str,
    width: int,
    text: bool,
) -> Iterator[Block]:
    try:
        found = list(read_rows(handle, column, start, stop, width, text))
    except AnnotationError:
        if stop - start > 1:
            middle = (start + stop) // 2
            for ends in ((start, middle), (middle, stop)):
                yield from _bisected(handle, column, *ends, faults, reason, width, text)
            return
        faults.add(reason, np.array([start]))
        shape = (0, width) if width else (0,)
        found = [Block(start, np.zeros(1, np.int64), np.zeros(shape))]
    yield from found


def _texts(block: Block, coding: LabelCoding, faults: RowFaults, boxes: NDArray[np.int64]) -> Block:
    """The labels of a block of texts as indices; those that are none of the classes are noted."""
    places: dict[Any, int] = {name: place for place, name in enumerate(coding.names)}
    numbers: dict[Any, int] = {
        number: place for place, number in enumerate(coding.ids or range(len(coding.names)))
    }
    counts, values = np.zeros(len(block.counts), np.int64), list[int]()
    read = [labels_in(text) for text in block.values]
    # Names and numbers in one block are refused, too: the names count.
    kind = str if any(isinstance(label, str) for labels in read for label in labels or ()) else int
    for place, (text, labels) in enumerate(zip(block.values, read, strict=True)):
        row = block.start + place
        if not text and not boxes[row]:
            continue
        if labels is None or not all(isinstance(label, kind) for label in labels):
            faults.add(LABELS, np.array([row]))
            continue
        known = places if kind is str else numbers
        for label in (label for label in labels if label not in known):
            _count_unknown(faults, str(label), 1)
            faults.add(UNKNOWN, np.array([row]))
        counts[place] = len(labels)
        values += [known.get(label, 0) for label in labels]
    return Block(block.start, counts, np.array(values, np.int64))


def _check_labels(block: Block, coding: LabelCoding, faults: RowFaults) -> None:
    labels = block.values
    if not len(labels):
        return
    if labels.dtype.kind not in "iubf":
        faults.add(LABELS, _rows_of(block, np.ones(len(labels), bool)))
        return
    whole = (
        np.isfinite(labels) & (labels % 1 == 0) if labels.dtype.kind == "f" else np.ones(len(labels), bool)
    )
    faults.add(LABELS, _rows_of(block, ~whole))
    if coding.ids and not coding.names:
        unknown = whole & ~np.isin(labels, coding.ids)
    else:
        most = np.iinfo(np.int32).max if coding.count is None else coding.count
        unknown = whole & ((labels < 0) | (labels >= most))
    faults.add(UNKNOWN, _rows_of(block, unknown))
    for label, count in zip(*np.unique(labels[unknown], return_counts=True), strict=True):
        _count_unknown(faults, f"{label:g}" if labels.dtype.kind == "f" else str(label), int(count))


def _count_unknown(faults: RowFaults, label: str, count: int) -> None:
    if label in faults.unknown or len(faults.unknown) < _MOST_UNKNOWN:
        faults.unknown[label] = faults.unknown.get(label, 0) + count
