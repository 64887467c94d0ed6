"""Encoded images straight out of the files of a local lake.

Deep Lake takes some 0.2 ms of CPU time and 40 system calls for an image at random, and more the more images
a file holds; the files themselves hold the encoded images one after another. Their layout is documented
nowhere. It is therefore believed of a file only if the table of lengths at its head adds up to the file's
very size, and of a version of the format only after three images of each of eight files were byte for byte
what Deep Lake gives; all else is left to Deep Lake.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.column_files import ColumnFiles, OpenFile, column_files

__all__ = ["ChunkFiles", "chunk_files", "read_places"]

_HEAD = 2**16  # usually all of a file's head
_LARGEST_HEAD = 2**26
_MOST_ROWS = 2**21  # whose places are remembered
_MOST_FILES = 2**12
_AT_ONCE = 64  # rows, and so at most as many files
_CALL = 10e-6  # seconds that reading takes at most for each image, and
_COPIED = 2e9  # bytes for each second, of what the system has in memory
_TRIALS = 8  # files of one version of the format

_log = logging.getLogger("deeplake_mmdet")


def chunk_files(handle: Any, column: str, read: Callable[[Sequence[int]], list[Any]]) -> ChunkFiles | None:
    """The files of a column of encoded images, if they may be read: see `column_files`.

    Args:
        handle: Open lake.
        column: Column name.
        read: Reads cells of the column through Deep Lake.
    """
    files = column_files(handle, column)
    return None if files is None else ChunkFiles(files, read)


class ChunkFiles:
    """Reads like a column of the lake. Safe to use from several threads.

    Args:
        files: The files.
        read: Reads cells through Deep Lake.
    """

    def __init__(self, files: ColumnFiles, read: Callable[[Sequence[int]], list[Any]]) -> None:
        self._files = files
        self._read = read
        self._places: OrderedDict[int, NDArray[np.uint32]] = OrderedDict()
        self._remembered = 0
        self._refused: set[int] = set()
        self._trials: dict[bytes, set[int]] = {}  # files that agreed, by version of their format
        self._owner = object()
        self._on_disk = True  # rather than in memory, as far as the last reading told

    def get_bytes(self, index: Any) -> Any:
        """Encoded cells: one for a number, a list for a slice with both ends or a list of numbers."""
        if isinstance(index, slice):
            return self._cells(range(index.start, index.stop))
        return self._cells([int(index)])[0] if isinstance(index, int | np.integer) else self._cells(index)

    def _cells(self, rows: Sequence[int]) -> list[Any]:
        cells: list[Any] = [None] * len(rows)
        numbers = np.searchsorted(self._files.starts, rows, side="right") - 1
        at = list(enumerate(zip(numbers.tolist(), rows, strict=True)))
        for begin in range(0, len(at), _AT_ONCE):
            self._from_files(at[begin : begin + _AT_ONCE], cells)
        missing = [place for place, cell in enumerate(cells) if cell is None]
        if missing:
            rest = self._read([rows[place] for place in missing])
            for place, cell in zip(missing, rest, strict=True):
                cells[place] = cell
        return cells

    def _from_files(self, at: list[tuple[int, tuple[int, int]]], cells: list[Any]) -> None:
        """Put cells at their place, of (place, (file, row)); not those that Deep Lake has to give."""
        opened: dict[int, tuple[OpenFile, NDArray[np.uint32]] | None] = {}
        spans = []
        for place, (number, row) in at:
            if number not in opened:
                opened[number] = self._open(number)
            if (file := opened[number]) is not None:
                row -= int(self._files.starts[number])
                start, stop = file[1][row : row + 2].tolist()
                spans.append((place, file[0].descriptor, start, stop - start))
        if self._on_disk:
            _announce(spans)
        begin = time.perf_counter()
        for place, descriptor, start, length in spans:
            with contextlib.suppress(OSError):  # Deep Lake says what is wrong
                cell = os.pread(descriptor, length, start)
                if len(cell) == length:
                    cells[place] = cell
        expected = len(spans) * _CALL + sum(span[3] for span in spans) / _COPIED
        self._on_disk = time.perf_counter() - begin > expected

    def _open(self, number: int) -> tuple[OpenFile, NDArray[np.uint32]] | None:
        """A file and its places; None if Deep Lake has to read it."""
        if number in self._refused:
            return None
        try:
            file = self._files.open(number, self._owner)
            places = self._places_in(number, file.descriptor)
        except OSError:  # Deep Lake says what is wrong
            return None
        return None if places is None else (file, places)

    def _places_in(self, number: int, file: int) -> NDArray[np.uint32] | None:
        """Where the cells of a file begin, and where the last one ends, shape (rows + 1,)."""
        known = self._places.get(number)
        if known is not None:
            with contextlib.suppress(KeyError):  # another thread may have dropped it
                self._places.move_to_end(number)
            return known
        count = int(self._files.starts[number + 1] - self._files.starts[number])
        version, places = read_places(file, count)
        if places is None or not self._agrees(number, file, version, places):
            self._refused.add(number)
            _log.debug("%s is read through Deep Lake", os.fsdecode(self._files.names[number]))
            return None
        self._places[number] = places
        self._remembered += count
        while self._remembered > _MOST_ROWS or len(self._places) > _MOST_FILES:
            with contextlib.suppress(KeyError):
                self._remembered -= len(self._places.popitem(last=False)[1]) - 1
        return places

    def _agrees(self, number: int, file: int, version: bytes, places: NDArray[np.uint32]) -> bool:
        trials = self._trials.setdefault(version, set())
        if len(trials) >= _TRIALS or number in trials:
            return True
        count = len(places) - 1
        probes = sorted({0, count // 2, count - 1})
        cells = self._read([int(self._files.starts[number]) + probe for probe in probes])
        agrees = all(
            cell is not None
            and bytes(cell) == os.pread(file, int(places[probe + 1]) - int(places[probe]), int(places[probe]))
            for probe, cell in zip(probes, cells, strict=True)
        )
        if agrees:
            trials.add(number)
        return agrees


def _announce(spans: Sequence[tuple[int, int, int, int]]) -> None:
    # The disk then looks for all of them at once, where reading would ask for one after another: a third of
    # the time, and of the CPU time, for what is not in memory.
    if len(spans) > 1 and hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # a file system that takes no hints
            for _, descriptor, start, length in spans:
                os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_WILLNEED)


def read_places(file: int, count: int) -> tuple[bytes, NDArray[np.uint32] | None]:
    """Where the cells in an open file begin, and where the last one ends.

    A head is a text with the format's version, runs of cells of equal shape (the dimensions and the number of
    the last cell), and runs of cells of equal length (length, place after the head, number of the last cell);
    all numbers have 32 bits. The cells follow it up to the end of the file.

    Args:
        file: File descriptor.
        count: Number of cells.

    Returns:
        The text with the version, and the places, shape (count + 1,); None for these if the file does not
        look like that.
    """
    size = os.fstat(file).st_size
    head = os.pread(file, _HEAD, 0)
    if len(head) < 1 or size >= 2**32:
        return b"", None
    version = head[1 : 1 + head[0]]
    return version, _places(file, size, head, count)


def _places(file: int, size: int, head: bytes, count: int) -> NDArray[np.uint32] | None:
    at = 1 + head[0]
    shapes = np.frombuffer(head, "<u4", 2, at) if len(head) >= at + 8 else None
    if shapes is None:
        return None
    at += 8 + 4 * int(shapes[0]) * int(shapes[1])
    if at + 4 > min(size, _LARGEST_HEAD):
        return None
    if len(head) < at + 4:
        head = os.pread(file, at + _HEAD, 0)
    runs = int(np.frombuffer(head, "<u4", 1, at)[0])
    at += 4
    end = at + 12 * runs
    if not runs or runs > count or end > size:
        return None
    if len(head) < end:
        head = os.pread(file, end, 0)
    lengths, places, last = np.frombuffer(head, "<u4", 3 * runs, at).astype(np.int64).reshape(-1, 3).T
    repeats = np.diff(last, prepend=-1)
    if (repeats <= 0).any() or last[-1] != count - 1:
        return None
    each = np.repeat(lengths, repeats)
    ends = end + np.cumsum(each)
    if ends[-1] != size or (places != np.cumsum(lengths * repeats) - lengths * repeats).any():
        return None
    return np.concatenate([[end], ends]).astype(np.uint32)
