"""The files that hold a column of a local lake, for reading them without Deep Lake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SWITCH", "ColumnFiles", "column_files"]

SWITCH = "DEEPLAKE_MMDET_DIRECT"


class ColumnFiles(NamedTuple):
    """Files with consecutive rows of a column.

    Attributes:
        folder: The lake's folder.
        names: Names of the files below it, shape (n,).
        starts: First row of each file, and the number of rows, shape (n + 1,), int64.
    """

    folder: bytes
    names: NDArray[np.bytes_]
    starts: NDArray[np.int64]

    def open(self, number: int) -> int:
        """Open a file; its descriptor. Raises OSError."""
        path: bytes = self.folder + b"/" + self.names[number]
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def column_files(handle: Any, column: str) -> ColumnFiles | None:
    """The files of a column; None for lakes elsewhere, for queries, and if rows were changed or deleted.

    Deep Lake tells them, but its documentation does not: whoever reads the files has to check what is found.

    Args:
        handle: Open lake.
        column: Column name.
    """
    folder: Path | None = getattr(handle, "folder", None)
    if folder is None or os.environ.get(SWITCH, "") == "0":
        return None
    try:
        told = handle.files[column]
        files = sorted(
            (int(file.offset_start), int(file.offset_end), str(file.filename))
            for file in told.insert_datafiles
        )
        if told.update_datafiles or not files:
            return None
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    starts = np.array([0, *(end for _, end, _ in files)], np.int64)
    if [start for start, _, _ in files] != starts[:-1].tolist() or starts[-1] != len(handle):
        return None
    return ColumnFiles(os.fsencode(folder), np.array([os.fsencode(name) for *_, name in files]), starts)
