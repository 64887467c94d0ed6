"""Whole files of a column of arrays of a local lake, without an object for each row.

Deep Lake gives a NumPy array for every row, which is most of the time that reading annotations takes; the
files hold the rows' numbers one after another. As with images (`chunk_files`), a file is believed only if
its head fits its size and rows of it are what Deep Lake gives; all else is left to Deep Lake.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.direct.column_files import ColumnFiles

__all__ = ["read_array_file"]

Rows = tuple[NDArray[np.int64], NDArray[Any]]

_HEAD = 7  # bytes before the number of rows
_LARGEST = 2**28


def read_array_file(files: ColumnFiles, number: int, column: Any, width: int) -> Rows | None:
    """Read the rows of one file of a column of arrays.

    Args:
        files: The column's files.
        number: The file's place among them.
        column: The column of the open lake, to compare some rows with.
        width: 4 for cells of shape (k, 4), and so on; 0 for cells of shape (k,).

    Returns:
        Number of entries in each row, shape (rows,), and all entries, shape (m,) or (m, width). None if they
        have to be read through Deep Lake.
    """
    first, stop = int(files.starts[number]), int(files.starts[number + 1])
    try:
        with Path(files.path(number)).open("rb") as file:
            data = file.read() if os.fstat(file.fileno()).st_size <= _LARGEST else b""
    except OSError:
        return None
    found = _shapes(data, stop - first, 2 if width else 1)
    if found is None:
        return None
    shapes, end = found
    counts = shapes[:, 0]
    if width and (shapes[counts > 0, 1] != width).any():
        return None
    filled = np.flatnonzero(counts)
    if not len(filled):
        return None
    starts = np.concatenate([[0], np.cumsum(counts)])
    # The first and the last filled row, which fix all between, one in the middle, and an empty one.
    probes = np.unique([filled[0], filled[len(filled) // 2], filled[-1], int(counts.argmin())])
    cells = column[(first + probes).tolist()]
    dtype = np.asarray(cells[int(np.argmax(counts[probes]))]).dtype
    values = _numbers(data, end, starts * (width or 1) * dtype.itemsize, dtype)
    if values is None:
        return None
    values = values.reshape(-1, width) if width else values
    for probe, cell in zip(probes.tolist(), cells, strict=True):
        if not np.array_equal(np.asarray(cell), values[starts[probe] : starts[probe + 1]], equal_nan=True):
            return None
    return counts, values


def _shapes(data: bytes, rows: int, dimensions: int) -> tuple[NDArray[np.int64], int] | None:
    """Shapes of all rows, shape (rows, dimensions), and where they end; None for another head.

    Seven bytes, the number of rows, and for each row the number of its dimensions and its dimensions; all
    of these have 64 bits.
    """
    start = _HEAD + 8
    end = start + 8 * (1 + dimensions) * rows
    if end + 8 > len(data) or int.from_bytes(data[_HEAD:start], "little") != rows:
        return None
    table = np.frombuffer(data, "<i8", (1 + dimensions) * rows, start).reshape(rows, 1 + dimensions)
    if (table[:, 0] != dimensions).any() or (table[:, 1:] < 0).any() or (table[:, 1:] > len(data)).any():
        return None
    return table[:, 1:], end


def _numbers(data: bytes, at: int, places: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The numbers at the end of a file; None if what stands before them is something else.

    Twice the number of rows and a bit for each row, which are zero unless the row is peculiar; then the
    number of places and the places, in bytes, at which the rows begin and the last one ends.

    Args:
        data: The file.
        at: Where the shapes end.
        places: Those that the shapes make expect.
        dtype: Element type.
    """
    rows = len(places) - 1
    for _ in range(2):
        bits = -(-rows // 64) * 8
        if int.from_bytes(data[at : at + 8], "little") != rows or any(data[at + 8 : at + 8 + bits]):
            return None
        at += 8 + bits
    end = at + 8 + 8 * len(places)
    if int.from_bytes(data[at : at + 8], "little") != len(places) or end + places[-1] != len(data):
        return None
    if (np.frombuffer(data, "<i8", len(places), at + 8) != places).any():
        return None
    return np.frombuffer(data, dtype, int(places[-1]) // dtype.itemsize, end)
