"""Where the chunks of a column begin: Deep Lake stores some 8 MB of neighbouring cells in one object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.cell_reader import StoredCells

__all__ = ["chunk_bounds", "mean_bytes"]

_CHUNK_BYTES = 8 * 10**6  # what Deep Lake fills its chunks up to
_LEAST_BYTES = 4 * 10**6  # smaller neighbours are taken together
_PROBES = 8  # two requests each


def chunk_bounds(handle: OpenLake, column: str, mean: float) -> NDArray[np.int64]:
    """First rows of the chunks of a column of files, and the number of rows at the end.

    Lakes tell where chunks begin without a request; in views by a query and in older lakes (v3) only some
    images are measured, and chunks of equal length given. Chunks much smaller than usual, as many small
    appends leave them, are joined with their neighbours. The result depends on the pinned lake alone.

    Args:
        handle: Open lake.
        column: Name of the column.
        mean: What `mean_bytes` gives.

    Returns:
        Shape (chunks + 1,), int64; [0] for a lake without rows.
    """
    rows = len(handle)
    told = _told(handle, column, rows)
    if told is None:
        return _even(rows, mean)
    least = max(int(_LEAST_BYTES / mean), 1)
    bounds = [0]
    for start in told[1:-1]:
        if start - bounds[-1] >= least:
            bounds.append(int(start))
    return np.array([*bounds, rows] if rows else [0], np.int64)


def _told(handle: OpenLake, column: str, rows: int) -> NDArray[np.int64] | None:
    """What Deep Lake reports, if it does; this is no documented part of it."""
    try:
        if not isinstance(handle, LakeHandle):
            return None
        files = handle.files[column].insert_datafiles
        starts = sorted({int(file.offset_start) for file in files})
        ends = max(int(file.offset_end) for file in files)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    if not starts or starts[0] != 0 or ends != rows:
        return None
    return np.array([*starts, rows], np.int64)


def mean_bytes(handle: OpenLake, column: str) -> float:
    """Mean size in bytes of the encoded cells, estimated from up to eight of them spread over the column.

    Args:
        handle: Open lake.
        column: Name of a column of files.

    Returns:
        At least 1.0; the size of a whole chunk (8 MB) if none of them has bytes.

    Raises:
        DeepLakeMMDetError: As `CellReader.get_bytes`.
    """
    rows = len(handle)
    probes = sorted({rows * number // _PROBES for number in range(_PROBES)}) if rows else []
    sizes = [len(cell) for cell in StoredCells(lambda: handle, column).get_bytes(probes) if cell]
    return max(sum(sizes) / len(sizes), 1.0) if sizes else float(_CHUNK_BYTES)


def _even(rows: int, mean: float) -> NDArray[np.int64]:
    power = int(_CHUNK_BYTES / mean).bit_length() - 1
    length = 2 ** max(power, 0)  # a power of two: small differences of the mean vanish
    return np.append(np.arange(0, rows, length, dtype=np.int64), rows)
