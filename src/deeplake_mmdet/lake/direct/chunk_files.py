"""Encoded images straight out of the files of a local lake.

Deep Lake takes some 0.2 ms of CPU time and 40 system calls for an image at random, and more the more images
a file holds; the files themselves hold the encoded images one after another. Whatever is not as
`chunk_layout` has it is left to Deep Lake.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake.calls.faults import missing
from deeplake_mmdet.lake.calls.handle import LakeHandle, Stamp, stamp_of
from deeplake_mmdet.lake.direct.chunk_layout import Places, Trust, read_places
from deeplake_mmdet.lake.direct.column_files import ColumnFiles, column_files, exchanged
from deeplake_mmdet.lake.images.cell_reader import CellReader

__all__ = ["ChunkFiles", "chunk_files", "close_files"]

_MOST_OPEN = 256  # files of all lakes of this process, but no more than a quarter of what it may have
_MOST_ROWS = 2**21  # whose places are remembered
_MOST_FILES = 2**12
_AT_ONCE = 64  # rows, and so at most as many files
_CALL = 10e-6  # seconds that reading takes at most for each image, and
_COPIED = 2e9  # bytes for each second, of what the system has in memory
_TRIALS = 8  # files of one version of the format

_log = logging.getLogger("deeplake_mmdet")


class OpenFile:
    """A descriptor for reading, closed as soon as nobody holds this object any more.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    __slots__ = ("descriptor",)

    def __init__(self, path: bytes) -> None:
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _most_open() -> int:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_OPEN if most == resource.RLIM_INFINITY else min(_MOST_OPEN, most // 4)


# Of a file that is open a read costs a tenth.
@functools.lru_cache(_most_open())
def _opened(path: bytes, owner: object) -> OpenFile:
    return OpenFile(path)


def close_files() -> None:
    """Close the files that stay open for later reads, of all lakes, except those in use at the moment."""
    _opened.cache_clear()


def chunk_files(handle: LakeHandle, column: str, under: CellReader) -> ChunkFiles | None:
    """Find the files of a column of encoded images, to be read without Deep Lake.

    Args:
        handle: Open lake.
        column: Column name.
        under: Reads the column through Deep Lake.

    Returns:
        A reader of the files; None if they may not be read, see `column_files`.
    """
    files = column_files(handle, column)
    return None if files is None else ChunkFiles(files, under, handle.check)


class ChunkFiles:
    """A `CellReader` of a local lake's files, over Deep Lake's own.

    Args:
        files: The files.
        under: Reads through Deep Lake.
        check: Raises an error if the lake was exchanged.
    """

    def __init__(self, files: ColumnFiles, under: CellReader, check: Callable[[], None]) -> None:
        self._files = files
        self._under = under
        self._check = check
        self._places: OrderedDict[int, tuple[Stamp, Places]] = OrderedDict()
        self._remembered = 0
        self._refused = {number for number, name in enumerate(files.names.tolist()) if not name}
        self._trust = Trust(under, _TRIALS)
        self._owner = object()  # of open files: not this reader, which would live as long as they
        self._on_disk = True  # rather than in memory, as far as the last reading told

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        """See `CellReader.get_bytes`.

        Raises:
            SourceNotFoundError: Another lake stands there now, or none.
            StorageError: A file of the lake is missing, or was exchanged.
            DeepLakeMMDetError: As Deep Lake's reading, for what is left to it.
        """
        self._check()
        numbers = (np.searchsorted(self._files.starts, rows, side="right") - 1).tolist()
        if not numbers or min(numbers) < 0 or max(numbers) >= len(self._files.names):
            return self._under.get_bytes(rows)
        cells: list[bytes | None] = [b""] * len(numbers)
        at = list(enumerate(zip(numbers, rows, strict=True)))
        for begin in range(0, len(at), _AT_ONCE):
            self._from_files(at[begin : begin + _AT_ONCE], cells)
        if left := [place for place, cell in enumerate(cells) if cell == b""]:
            others = self._under.get_bytes([rows[place] for place in left])
            for place, cell in zip(left, others, strict=True):
                cells[place] = cell
        return cells

    def forget(self, rows: Sequence[int]) -> None:
        """See `CellReader.forget`; here only the files' layout is remembered, which is checked anyway."""
        self._under.forget(rows)

    def _from_files(self, at: list[tuple[int, tuple[int, int]]], cells: list[bytes | None]) -> None:
        """Put cells at their place, of (place, (file, row)); what Deep Lake has to give stays ``b""``."""
        opened: dict[int, tuple[OpenFile, Places] | None] = {}
        spans = []
        for place, (number, row) in at:
            if number not in opened:
                opened[number] = self._open(number)
            if (file := opened[number]) is not None:
                row -= int(self._files.starts[number])
                start, stop = file[1][row : row + 2].tolist()
                if stop > start:
                    spans.append((place, file[0].descriptor, start, stop - start))
                else:
                    cells[place] = None
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

    def _open(self, number: int) -> tuple[OpenFile, Places] | None:
        """A file and its places; None if Deep Lake has to read it."""
        if number in self._refused:
            return None
        try:
            file = _opened(self._files.folder + b"/" + self._files.names[number], self._owner)
            places = self._places_in(number, file.descriptor)
        except FileNotFoundError:  # over which Deep Lake may crash
            raise missing(f"{self._files.path(number)}") from None
        except StorageError:
            raise
        except OSError:  # Deep Lake says what is wrong
            return None
        return None if places is None else (file, places)

    def _places_in(self, number: int, file: int) -> Places | None:
        """Where the cells of a file begin, and where the last one ends, shape (rows + 1,)."""
        known, stamp = self._places.get(number), stamp_of(file)
        if known is not None and known[0] == stamp:
            with contextlib.suppress(KeyError):  # another thread may have dropped it
                self._places.move_to_end(number)
            return known[1]
        first, stop = self._files.starts[number : number + 2].tolist()
        count = stop - first

        def data(length: int, start: int) -> bytes:
            return os.pread(file, length, start)

        size = os.fstat(file).st_size
        version, places = read_places(data, size, count)
        if not self._files.fits(number, size) or (
            known is not None and (places is None or not np.array_equal(places, known[1]))
        ):
            raise exchanged(self._files.path(number))
        if places is None or not self._trust.agrees(number, first, version, places, data):
            self._refused.add(number)
            _log.debug("%s is read through Deep Lake", os.fsdecode(self._files.names[number]))
            return None
        self._remembered += count if known is None else 0
        self._places[number] = stamp, places
        while self._remembered > _MOST_ROWS or len(self._places) > _MOST_FILES:
            with contextlib.suppress(KeyError):
                self._remembered -= len(self._places.popitem(last=False)[1][1]) - 1
        return places


def _announce(spans: Sequence[tuple[int, int, int, int]]) -> None:
    # The disk then looks for all of them at once, where reading would ask for one after another: a third of
    # the time, and of the CPU time, for what is not in memory.
    if len(spans) > 1 and hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # a file system that takes no hints
            for _, descriptor, start, length in spans:
                os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_WILLNEED)
