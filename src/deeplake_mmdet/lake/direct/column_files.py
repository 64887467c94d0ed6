"""The files that hold a column of a lake, for reading them without Deep Lake."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.calls.protocols import OpenLake

__all__ = ["SWITCH", "ColumnFiles", "column_files", "exchanged", "is_switched_off", "told_files"]

SWITCH = "DEEPLAKE_MMDET_DIRECT"


class ColumnFiles(NamedTuple):
    """Files with consecutive rows of a column.

    Attributes:
        folder: The lake's folder.
        names: Names of the files below it, shape (n,); empty for rows that are older than the column.
        starts: First row of each file, and the number of rows, shape (n + 1,), int64.
        sizes: Bytes of each file, shape (n,), int64; -1 where not told.
    """

    folder: bytes
    names: NDArray[np.bytes_]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def path(self, number: int) -> str:
        """Path of a file.

        Args:
            number: Its place in ``names``.
        """
        return os.fsdecode(self.folder + b"/" + self.names[number] if self.folder else self.names[number])

    def fits(self, number: int, size: int) -> bool:
        """Whether a file's size is the one that the lake has recorded; also if it has recorded none.

        Args:
            number: The file's place in ``names``.
            size: Its size on disk, in bytes.
        """
        return self.sizes.item(number) in (-1, size)


def is_switched_off() -> bool:
    """Whether the user has switched direct reading off (``DEEPLAKE_MMDET_DIRECT=0``)."""
    return os.environ.get(SWITCH, "") == "0"


def column_files(lake: OpenLake, column: str) -> ColumnFiles | None:
    """Find the files of a column that may be read without Deep Lake.

    Args:
        lake: Open lake.
        column: Column name.

    Returns:
        The files; None for lakes that are no local folder, for queries, if rows were changed or deleted, and
        if direct reading is switched off.
    """
    if not isinstance(lake, LakeHandle) or lake.folder is None or is_switched_off():
        return None
    return told_files(lake, column, os.fsencode(lake.folder))


def told_files(handle: LakeHandle, column: str, folder: bytes) -> ColumnFiles | None:
    """Ask Deep Lake for the files of a column.

    This is no documented part of it: whoever reads the files has to check what is found.

    Args:
        handle: Open lake.
        column: Column name.
        folder: The lake's folder.

    Returns:
        The files; None if Deep Lake does not tell them, or rows were changed or deleted.
    """
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
    sizes = handle.file_sizes
    return ColumnFiles(
        folder,
        np.array([os.fsencode(name) for *_, name in files]),
        starts,
        np.array([sizes.get(name, -1) for *_, name in files], np.int64),
    )


def exchanged(path: str) -> StorageError:
    """Make the error for a file of a lake that is not as the lake has written it.

    Args:
        path: The file.
    """
    return StorageError(
        "A file of the lake was exchanged or damaged: it is not as the lake has written it",
        where=path,
        advice="restore the lake from a copy, all of its files together",
    )
