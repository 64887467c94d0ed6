"""How a file of encoded images is laid out, and when that may be believed.

The files of a lake hold encoded images one after another. Their layout is documented nowhere. It is therefore
believed of a file only if the table of lengths at its head adds up to the file's very size, and of a version
of the format only after images of several files were byte for byte what Deep Lake gives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.images.cell_reader import CellReader

__all__ = ["Bytes", "Places", "Trust", "read_places"]

Bytes = Callable[[int, int], bytes]
"""Bytes of a file, by their number and the place of the first; fewer at its end."""
Places = NDArray[np.uint32]
_HEAD = 2**16  # usually all of a file's head
_LARGEST_HEAD = 2**26


class Trust:
    """Which versions of the file format were found to give what Deep Lake gives. Thread-safe.

    Args:
        deep_lake: Reads the column through Deep Lake.
        trials: Number of files of a version that are compared.
    """

    def __init__(self, deep_lake: CellReader, trials: int) -> None:
        self._deep_lake = deep_lake
        self._trials = trials
        self._agreed: dict[bytes, set[int]] = {}  # files, by version

    def agrees(self, number: int, first: int, version: bytes, places: Places, data: Bytes) -> bool:
        """Whether a file may be read directly; if need be its first, middle and last cell are compared first.

        Args:
            number: The file's place among the column's files.
            first: Its first row.
            version: From `read_places`.
            places: From `read_places`, shape (count + 1,).
            data: Reads the file.

        Raises:
            DeepLakeMMDetError: As `CellReader.get_bytes`, where Deep Lake is asked for the cells to compare.
        """
        agreed = self._agreed.setdefault(version, set())
        if len(agreed) >= self._trials or number in agreed:
            return True
        count = len(places) - 1
        probes = sorted({0, count // 2, count - 1})
        cells = self._deep_lake.get_bytes([first + probe for probe in probes])
        same = all(
            (cell or b"") == data(int(places[probe + 1]) - int(places[probe]), int(places[probe]))
            for probe, cell in zip(probes, cells, strict=True)
        )
        if same:
            agreed.add(number)
        return same


def read_places(data: Bytes, size: int, count: int) -> tuple[bytes, Places | None]:
    """Where the cells in a file begin, and where the last one ends.

    A head is a text with the format's version, runs of cells of equal shape (the dimensions and the number of
    the last cell), and runs of cells of equal length (length, place after the head, number of the last cell);
    all numbers have 32 bits. The cells follow it up to the end of the file.

    Args:
        data: Reads the file.
        size: Its size.
        count: Number of cells.

    Returns:
        The text with the version, and the places, shape (count + 1,); None for these if the file does not
        look like that.
    """
    head = data(_HEAD, 0)
    if len(head) < 1 or size >= 2**32:
        return b"", None
    version = head[1 : 1 + head[0]]
    return version, _places(data, size, head, count)


def _places(data: Bytes, size: int, head: bytes, count: int) -> Places | None:
    at = 1 + head[0]
    shapes = np.frombuffer(head, "<u4", 2, at) if len(head) >= at + 8 else None
    if shapes is None:
        return None
    at += 8 + 4 * int(shapes[0]) * int(shapes[1])
    if at + 4 > min(size, _LARGEST_HEAD):
        return None
    if len(head) < at + 4:
        head = data(at + _HEAD, 0)
    runs = int(np.frombuffer(head, "<u4", 1, at)[0])
    at += 4
    end = at + 12 * runs
    if not runs or runs > count or end > size:
        return None
    if len(head) < end:
        head = data(end, 0)
    lengths, places, last = np.frombuffer(head, "<u4", 3 * runs, at).astype(np.int64).reshape(-1, 3).T
    repeats = np.diff(last, prepend=-1)
    if (repeats <= 0).any() or last[-1] != count - 1:
        return None
    each = np.repeat(lengths, repeats)
    ends = end + np.cumsum(each)
    if ends[-1] != size or (places != np.cumsum(lengths * repeats) - lengths * repeats).any():
        return None
    return np.concatenate([[end], ends]).astype(np.uint32)
