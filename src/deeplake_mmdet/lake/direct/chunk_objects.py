"""Whole chunks of encoded images straight out of an S3 bucket.

Deep Lake takes some 0.15 ms of CPU time for an image that comes over a network, even if it comes with its
whole chunk: its bytes are copied several times on their way. Fetching the chunk's object by obstore and
cutting it here takes half of that, and half as many requests. The same care as with local files
(`chunk_layout`); whatever goes wrong, Deep Lake is asked, which knows all ways to authenticate, tries again
and says what is wrong.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake.direct.checksums import CheckedObjects
from deeplake_mmdet.lake.direct.chunk_layout import Trust, read_places
from deeplake_mmdet.lake.direct.column_files import ColumnFiles, told_files
from deeplake_mmdet.lake.direct.object_store import ObjectStore, open_store
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["ChunkObjects", "chunk_objects"]

_TRIALS = 2  # files of one version of the format
_TOGETHER = 2  # objects of one span; more are better fetched side by side, as Deep Lake does
_AT_ONCE = 8
_MOST_FAILURES = 3  # in a row

_log = logging.getLogger("deeplake_mmdet")


def chunk_objects(
    handle: Any,
    column: str,
    read: Callable[[Sequence[int]], list[Any]],
    source: ResolvedSource,
    credentials: Callable[[], CredentialRef],
    reopen: Callable[[], None] | None = None,
) -> ChunkObjects | None:
    """The objects of a column of encoded images, if they may be read; not those of queries or changed rows.

    Args:
        handle: Open lake.
        column: Column name.
        read: Reads cells of the column through Deep Lake.
        source: The pinned lake.
        credentials: Gives what opens it at present.
        reopen: Has Deep Lake forget what it has read. If given, what is read here is to be kept: objects are
            compared with the storage's checksums, and any number of them makes a span.
    """
    if not source.is_plain:
        return None
    ref = credentials()
    store = open_store(source.url, ref)
    files = None if store is None else told_files(handle, column, b"")
    return None if files is None else ChunkObjects(files, read, source, credentials, (ref, store), reopen)


class _NoKeysError(Exception):
    """The newest credentials hold none."""


class _OtherLayoutError(Exception):
    """An object is not laid out as known, or not what Deep Lake gives."""


class ChunkObjects:
    """Reads like a column of the lake. Safe to use from several threads; of one process.

    Args:
        files: The column's files.
        read: Reads cells through Deep Lake.
        source: The pinned lake.
        credentials: Gives what opens it at present.
        opened: The store that some of them opened.
        reopen: See `chunk_objects`.
    """

    def __init__(
        self,
        files: ColumnFiles,
        read: Callable[[Sequence[int]], list[Any]],
        source: ResolvedSource,
        credentials: Callable[[], CredentialRef],
        opened: tuple[CredentialRef, ObjectStore | None],
        reopen: Callable[[], None] | None = None,
    ) -> None:
        self._files = files
        self._read = read
        self._source = source
        self._credentials = credentials
        self._trust = Trust(read, _TRIALS)
        self._trying = threading.Lock()
        self._process = os.getpid()
        self._store: tuple[CredentialRef, ObjectStore | None] | None = opened
        self._failures = 0
        self._reopen = reopen
        self._checked = None if reopen is None else CheckedObjects(f"lake {source}")

    def get_bytes(self, index: Any) -> Any:
        """Encoded cells: one for a number, a list for a slice with both ends or a list of numbers.

        A slice from the beginning of one chunk to the end of the same or the next one is read directly.

        Raises:
            DeepLakeMMDetError: Deep Lake cannot read them either.
        """
        if isinstance(index, slice):
            rows = range(index.start, index.stop)
            cells = self._from_objects(rows)
            return self._read(rows) if cells is None else cells
        return self._read([int(index)])[0] if isinstance(index, int | np.integer) else self._read(index)

    def _from_objects(self, rows: range) -> list[bytes] | None:
        starts = self._files.starts
        first, last = np.searchsorted(starts, (rows.start, rows.stop)).tolist()
        whole = last < len(starts) and (starts[first], starts[last]) == (rows.start, rows.stop)
        # The threads behind the client do not survive a fork.
        together = _TOGETHER if self._checked is None else len(starts)
        if not whole or not 0 < last - first <= together or os.getpid() != self._process:
            return None
        if self._failures >= _MOST_FAILURES:
            return None
        cells: list[bytes] = []
        try:
            if last - first <= _TOGETHER:
                found = list(map(self._cells_of, range(first, last)))
            else:
                with ThreadPoolExecutor(_AT_ONCE, "deeplake-mmdet-objects") as threads:
                    found = list(threads.map(self._cells_of, range(first, last)))
            cells += (cell for part in found for cell in part)
        except DeepLakeMMDetError:  # of Deep Lake itself, which has tried for long enough
            raise
        except Exception as error:
            # Not its text, in which the storage may repeat a key.
            self._failed(type(error).__name__)
            return None
        self._failures = 0
        return cells

    def _cells_of(self, number: int) -> list[bytes]:
        ref, held = self._credentials(), self._store
        if held is None or held[0] != ref:
            held = self._store = ref, open_store(self._source.url, ref)
        if held[1] is None:
            raise _NoKeysError
        name = os.fsdecode(self._files.names[number])
        data = held[1].get(name) if self._checked is None else self._checked.get(held[1], name)
        begin, end = self._files.starts[number : number + 2].tolist()

        def part(length: int, start: int) -> bytes:
            return bytes(data[start : start + length])

        version, places = read_places(part, len(data), end - begin)
        with self._trying:  # others may find out meanwhile that no more trials are needed
            agrees = places is not None and self._trust.agrees(number, begin, version, places, part)
            if places is not None and not agrees and self._checked is not None and self._checked.are_checked:
                assert self._reopen is not None
                self._reopen()  # it may be Deep Lake's bytes that came damaged
                agrees = self._trust.agrees(number, begin, version, places, part)
        if places is None or not agrees or not self._files.fits(number, len(data)):
            raise _OtherLayoutError
        return [bytes(data[start:stop]) for start, stop in pairwise(places.tolist())]

    def _failed(self, reason: str) -> None:
        self._store = None  # the next try looks for keys again
        self._failures += 1
        if self._failures == _MOST_FAILURES:
            _log.info(
                "%s: images are read through Deep Lake only, as reading chunks directly failed %d times (%s)",
                self._source,
                _MOST_FAILURES,
                reason.strip("_"),
            )
