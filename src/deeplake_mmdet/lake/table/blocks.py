"""Column reads in blocks of rows, as flat arrays: the one way in which annotations leave a lake.

Whole columns at once would cost gigabytes at 10^7 rows; short blocks are slow to read.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, listed
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.calls.storage_errors import damaged
from deeplake_mmdet.lake.direct.array_files import read_array_file
from deeplake_mmdet.lake.direct.column_files import column_files
from deeplake_mmdet.lake.schema.columns import holds_sequences

__all__ = ["Block", "read_blocks", "read_rows", "rows_for_people"]

_ROWS = 4_000  # the arrays of a block should fit the processor's cache
_FIRST_ROWS = 2_000  # until it is known how large a row is
_ROWS_AT_ONCE = 2**17  # of lakes whose columns are best read as a whole
_FIRST_OF_THESE = 250
_BYTES = 64 * 2**20  # of a block's values, about
_KEPT_BYTES = 96 * 2**20  # read through one handle, whose cache grows with it

_SIZE = attrgetter("nbytes")


@dataclass(frozen=True, eq=False)
class Block:
    """Some consecutive rows of a column.

    Attributes:
        start: First row.
        counts: Number of entries in each row, shape (rows,), int64.
        values: All entries in the rows' order, shape (m,) or (m, width).
    """

    start: int
    counts: NDArray[np.int64]
    values: NDArray[Any]

    def row_of(self, entry: int) -> int:
        """The row in which an entry of ``values`` stands.

        Args:
            entry: Its place in ``values``.

        Returns:
            Row number in the lake.
        """
        return self.start + int(np.searchsorted(np.cumsum(self.counts), entry, side="right"))

    def rows_of(self, entries: NDArray[np.intp]) -> str:
        """The rows of some entries of ``values``, for people.

        Args:
            entries: Their places in ``values``, shape (k,); the first 1000 count.
        """
        return rows_for_people(np.unique([self.row_of(int(entry)) for entry in entries[:1000]]))


def rows_for_people(rows: NDArray[np.integer[Any]]) -> str:
    """Rows as words: ``'row 3'`` or ``'rows 3, 5'``, at most ten of them.

    Args:
        rows: Row numbers, shape (n,).
    """
    return f"row{'' if len(rows) == 1 else 's'} {listed(rows)}"


def read_blocks(
    handle: OpenLake,
    column: str,
    *,
    width: int = 0,
    text: bool = False,
    rows: int = _ROWS,
    kept_bytes: int = _KEPT_BYTES,
) -> Iterator[Block]:
    """Read a column from its first to its last row.

    Args:
        handle: Open lake. If it can be closed (`LakeHandle`), it is now and then, to free its cache.
        column: Column name.
        width: 4 for cells of shape (k, 4), and so on; 0 for cells of shape (k,) or single numbers.
        text: Whether cells are texts.
        rows: How many rows Deep Lake is asked for at once, at most.
        kept_bytes: Bytes of values after which the handle is closed.

    Yields:
        Blocks of consecutive rows, with ``values`` of shape (m,) or (m, width).

    Raises:
        AnnotationError: A cell is not of shape (k, width).
    """
    files = None if text else column_files(handle, column)
    if files is None:
        yield from read_rows(handle, column, 0, len(handle), width, text, rows, kept_bytes)
        return
    for number, (start, stop) in enumerate(pairwise(files.starts.tolist())):
        found = read_array_file(files, number, handle[column], width)
        if found is None:
            yield from read_rows(handle, column, start, stop, width, text, rows, kept_bytes)
        else:
            yield Block(start, *found)


def read_rows(
    handle: OpenLake,
    column: str,
    start: int,
    count: int,
    width: int = 0,
    text: bool = False,
    rows: int = _ROWS,
    kept_bytes: int = _KEPT_BYTES,
) -> Iterator[Block]:
    """Read some rows of a column through Deep Lake, as `read_blocks` does with all.

    Args:
        handle, column, width, text, rows, kept_bytes: See `read_blocks`.
        start: First row.
        count: One more than the last row.

    Yields:
        Blocks, as `read_blocks`.

    Raises:
        AnnotationError: As `read_blocks`.
    """
    first = _FIRST_ROWS
    if rows == _ROWS and getattr(handle, "whole_columns", False):
        first, rows = _FIRST_OF_THESE, _ROWS_AT_ONCE
    size, kept = min(first, rows), 0
    # Deep Lake's slices of sequences crash the process if a row among them is empty.
    is_sequence = hasattr(handle, "schema") and holds_sequences(handle.schema[column].dtype)
    with _without_collections():
        while start < count:
            stop = min(start + size, count)
            cells: Any = handle[column][list(range(start, stop)) if is_sequence else slice(start, stop)]
            block = _texts(cells, start) if text else _flat(cells, width, column, start)
            del cells
            yield block
            kept += block.values.nbytes
            # At the end of a column earlier, as the next columns' cells come on top.
            if kept > (kept_bytes if stop < count else kept_bytes // 4) and hasattr(handle, "close"):
                handle.close()
                kept = 0
            per_row = max(1, block.values.nbytes // (stop - start))
            size, start = max(1, min(rows, _BYTES // per_row)), stop


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Switch garbage collection off: a block makes one array per row, so that it would double the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _flat(cells: Any, width: int, column: str, start: int) -> Block:
    """One block from what Deep Lake gives: a stacked array if all rows have one shape, else a list."""
    if isinstance(cells, np.ndarray):
        shape = (-1, width) if width else (-1,)
        if cells.ndim == (3 if width else 2) and (not width or cells.shape[-1] == width or not cells.size):
            each = np.full(len(cells), cells.shape[1], np.int64)
            return Block(start, each, cells.reshape(shape if cells.size else (0, *shape[1:])))
        if cells.ndim == 1 and not width:
            return Block(start, np.ones(len(cells), np.int64), cells)
        cells = list(cells)
    try:
        counts = np.fromiter(map(len, cells), np.int64, len(cells))
        joined = _joined(cells, counts, width)
        if joined is not None:
            return Block(start, counts, joined)
        values = np.concatenate(cells)
    except (TypeError, ValueError):
        return _cell_by_cell(cells, width, column, start)
    except MemoryError as error:
        raise damaged(error, f"column {column!r}, rows {start} to {start + len(cells) - 1}") from None
    fits = values.ndim == 2 and values.shape[1] == width if width else values.ndim == 1
    # Empty cells come back with an element type of their own, which the others must not be turned into.
    mixed = not width and len(values) and cells[int(counts.argmax())].dtype != values.dtype
    if not fits or mixed:
        return _cell_by_cell(cells, width, column, start)
    return Block(start, counts, values)


def _joined(cells: list[Any], counts: NDArray[np.int64], width: int) -> NDArray[Any] | None:
    """Join all entries by plain copying, several times as fast as NumPy's own way; None if that cannot be."""
    longest = cells[int(counts.argmax())]
    try:
        sizes = np.fromiter(map(_SIZE, cells), np.int64, len(cells))
        plain = longest.shape[1:] == ((width,) if width else ()) and not longest.dtype.hasobject
        if not plain or not len(longest) or (sizes != counts * longest[0].nbytes).any():
            return None
        # Empty cells may have an element type of their own; they add nothing.
        return np.frombuffer(b"".join(cells), longest.dtype).reshape(-1, *longest.shape[1:])
    except (AttributeError, BufferError):
        return None


def _cell_by_cell(cells: list[Any], width: int, column: str, start: int) -> Block:
    flat = [_cell(cell, width, column, start + place) for place, cell in enumerate(cells)]
    filled = [values for values in flat if len(values)]
    empty = np.zeros((0, width)) if width else np.zeros(0, np.uint8)
    counts = np.fromiter(map(len, flat), np.int64, len(flat))
    return Block(start, counts, np.concatenate(filled) if filled else empty)


def _cell(cell: Any, width: int, column: str, row: int) -> NDArray[Any]:
    # None is what rows hold that are older than their column, and nullable cells without a value.
    if not width:
        return np.zeros(0, np.uint8) if cell is None else np.asarray(cell).reshape(-1)
    parts = (
        [] if cell is None else [np.asarray(part) for part in (cell if isinstance(cell, list) else [cell])]
    )
    filled = [part for part in parts if part.size]
    for part in filled:
        # One box may stand alone, and a sequence holds boxes or arrays of boxes.
        if part.shape[-1:] != (width,) or part.ndim > 3:
            columns = f", {part.shape[-1]} numbers each" if part.ndim == 2 else ""
            raise AnnotationError(
                f"A box has {width} numbers, but this cell has the shape {part.shape}{columns}",
                where=f"column {column!r}, row {row}",
                advice=f"store boxes as (k, {width}), and classes or scores in columns of their own",
            )
    return np.concatenate([part.reshape(-1, width) for part in filled]) if filled else np.zeros((0, width))


def _texts(cells: Any, start: int) -> Block:
    values = np.empty(len(cells), object)
    values[:] = list(cells)
    return Block(start, np.ones(len(cells), np.int64), values)
