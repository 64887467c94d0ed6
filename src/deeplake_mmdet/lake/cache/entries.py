"""Files of the cache of chunks: the encoded cells of neighbouring rows, to be read one by one.

A file holds a head, an index (where each cell ends, and its checksum) and the cells. All numbers are little
endian. The head names what the file is about, so that one that was moved or damaged is never taken for good.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence

import numpy as np

__all__ = ["DamagedEntryError", "entry_size", "read_cells", "write_entry"]

_HEAD = struct.Struct("<8s16sQI4x")  # mark, identity, number of cells, checksum of identity and index
_MARK = b"DLMCHNK1"
_PER_CELL = 12  # uint64 end of the cell, counted from the first cell's beginning; uint32 checksum


class DamagedEntryError(Exception):
    """A file is no complete and unaltered entry, or that of another chunk."""


def entry_size(cells: Sequence[bytes]) -> int:
    """Size in bytes of the file that holds some cells.

    Args:
        cells: Encoded cells; empty for cells without bytes.
    """
    return _HEAD.size + sum(map(len, cells)) + _PER_CELL * len(cells)


def write_entry(descriptor: int, identity: bytes, cells: Sequence[bytes]) -> None:
    """Write a whole entry from the file's beginning.

    Args:
        descriptor: File open for writing.
        identity: 16 bytes that stand for source, column and rows.
        cells: Encoded cells; empty ones for rows without an image.

    Raises:
        OSError: The disk is full, or fails.
    """
    ends = np.cumsum([len(cell) for cell in cells], dtype="<u8")
    sums = np.array([zlib.crc32(cell) for cell in cells], "<u4")
    index = ends.tobytes() + sums.tobytes()
    head = _HEAD.pack(_MARK, identity, len(cells), zlib.crc32(index, zlib.crc32(identity)))
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.seek(0)
        file.write(head + index)
        for cell in cells:
            file.write(cell)


def read_cells(descriptor: int, identity: bytes, count: int, wanted: Sequence[int]) -> list[bytes]:
    """Read some cells, and nothing else of the file but its index.

    Args:
        descriptor: File open for reading.
        identity: What was given to `write_entry`.
        count: Number of cells in the file.
        wanted: Places of cells, from 0.

    Returns:
        One entry for each of ``wanted``; empty for rows without an image.

    Raises:
        DamagedEntryError: The file is not what was written under this identity, as far as it was looked at.
    """
    start = _HEAD.size + _PER_CELL * count
    try:
        size = os.fstat(descriptor).st_size
        top = os.pread(descriptor, start, 0)
        if len(top) != start:
            raise DamagedEntryError("it is cut off")
        mark, whose, cells, checksum = _HEAD.unpack_from(top)
        if (mark, whose, cells) != (_MARK, identity, count):
            raise DamagedEntryError("its head is another's")
        if zlib.crc32(memoryview(top)[_HEAD.size :], zlib.crc32(identity)) != checksum:
            raise DamagedEntryError("its index was altered")
        ends = np.frombuffer(top, "<u8", count, _HEAD.size)
        sums = np.frombuffer(top, "<u4", count, _HEAD.size + 8 * count)
        if size != start + (int(ends[-1]) if count else 0):
            raise DamagedEntryError("it has another length")
        found = []
        for place in wanted:
            first, last = int(ends[place - 1]) if place else 0, int(ends[place])
            cell = os.pread(descriptor, last - first, start + first)
            if len(cell) != last - first or zlib.crc32(cell) != sums[place]:
                raise DamagedEntryError(f"cell {place} was altered")
            found.append(cell)
    except OSError as error:
        raise DamagedEntryError(str(error.strerror or error)) from None
    return found
