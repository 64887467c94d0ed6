"""Whole chunks of encoded images straight out of a bucket of S3, Google or Azure.

Deep Lake takes some 0.15 ms of CPU time for an image that comes over a network, even if it comes with its
whole chunk: its bytes are copied several times on their way. Fetching the chunk's object by obstore and
cutting it here takes half of that, and half as many requests. Their layout is believed as that of local
files is (`chunk_layout`); whatever goes wrong, keys that have expired included, Deep Lake is asked, which
tries again and says what is wrong. The next chunk is fetched with keys that are looked for anew.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.direct.checksums import CheckedObjects
from deeplake_mmdet.lake.direct.chunk_layout import Trust, read_places
from deeplake_mmdet.lake.direct.column_files import ColumnFiles, told_files
from deeplake_mmdet.lake.direct.object_store import ObjectStore, open_store
from deeplake_mmdet.lake.images.cell_reader import CellReader
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["ChunkObjects", "chunk_objects"]

_TRIALS = 2  # files of one version of the format
_TOGETHER = 2  # objects of one span; more are better fetched side by side, as Deep Lake does
_AT_ONCE = 8
_MOST_FAILURES = 3  # in a row
_REST, _LONGEST_REST = 60.0, 3600.0  # seconds that Deep Lake alone is asked then, longer each time

_log = logging.getLogger("deeplake_mmdet")


def chunk_objects(
    handle: LakeHandle,
    column: str,
    under: CellReader,
    source: ResolvedSource,
    credentials: Callable[[], CredentialRef],
    *,
    checked: bool = False,
) -> ChunkObjects | None:
    """The objects of a column of encoded images, if they may be read; not those of queries or changed rows.

    Args:
        handle: Open lake.
        column: Column name.
        under: Reads the column through Deep Lake.
        source: The pinned lake.
        credentials: Gives what opens it at present.
        checked: What is read here is to be kept: objects are compared with the storage's checksums, and any
            number of them makes a span.
    """
    if not source.is_plain:
        return None
    ref = credentials()
    store = open_store(source.url, ref)
    files = None if store is None else told_files(handle, column, b"")
    if files is None:
        return None
    return ChunkObjects(files, under, source, credentials, (ref, store), checked=checked)


class _NoKeysError(Exception):
    """The newest credentials hold none."""


class _OtherLayoutError(Exception):
    """An object is not laid out as known, or not what Deep Lake gives."""


class ChunkObjects:
    """A `CellReader` of whole chunks of a bucket, over Deep Lake's own.

    Args:
        files: The column's files.
        under: Reads through Deep Lake.
        source: The pinned lake.
        credentials: Gives what opens it at present.
        opened: The store that some of them opened.
        checked: See `chunk_objects`.
    """

    def __init__(
        self,
        files: ColumnFiles,
        under: CellReader,
        source: ResolvedSource,
        credentials: Callable[[], CredentialRef],
        opened: tuple[CredentialRef, ObjectStore | None],
        *,
        checked: bool = False,
    ) -> None:
        self._files = files
        self._under = under
        self._source = source
        self._credentials = credentials
        self._trust = Trust(under, _TRIALS)
        self._trying = threading.Lock()
        self._process = os.getpid()
        self._ref = opened[0]
        self._store: tuple[ObjectStore | None] | None = (opened[1],)  # None: to be opened at the next read
        self._failures = self._rests = 0
        self._resting_until = 0.0
        self._checked = CheckedObjects(f"lake {source}") if checked else None

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        """See `CellReader.get_bytes`.

        A range from the beginning of one chunk to the end of the same or the next one is read directly.

        Raises:
            DeepLakeMMDetError: Deep Lake cannot read them either.
        """
        cells = self._from_objects(rows) if isinstance(rows, range) and rows.step == 1 else None
        return self._under.get_bytes(rows) if cells is None else cells

    def forget(self, rows: Sequence[int]) -> None:
        """See `CellReader.forget`; here nothing is remembered of rows."""
        self._under.forget(rows)

    def _from_objects(self, rows: range) -> list[bytes | None] | None:
        starts = self._files.starts
        first, last = np.searchsorted(starts, (rows.start, rows.stop)).tolist()
        whole = last < len(starts) and (starts[first], starts[last]) == (rows.start, rows.stop)
        whole = whole and all(self._files.names[first:last].tolist())
        # The threads behind the client do not survive a fork.
        together = _TOGETHER if self._checked is None else len(starts)
        if not whole or not 0 < last - first <= together or os.getpid() != self._process:
            return None
        ref = self._credentials()
        if ref != self._ref:
            self._ref, self._store, self._resting_until = ref, None, 0.0
            self._failures = self._rests = 0
        if time.monotonic() < self._resting_until:
            return None
        held = self._store
        if held is None:
            held = self._store = (open_store(self._source.url, ref),)
        try:
            if held[0] is None:
                raise _NoKeysError
            cells_of = partial(self._cells_of, held[0])
            if last - first <= _TOGETHER:
                found = list(map(cells_of, range(first, last)))
            else:
                with ThreadPoolExecutor(_AT_ONCE, "deeplake-mmdet-objects") as threads:
                    found = list(threads.map(cells_of, range(first, last)))
        except DeepLakeMMDetError:  # of Deep Lake itself, which has tried for long enough
            raise
        except Exception as error:
            if held is self._store:  # else others have failed with these keys already
                # Not its text, in which the storage may repeat a key.
                self._failed(type(error).__name__)
            return None
        self._failures = self._rests = 0
        return [cell for part in found for cell in part]

    def _cells_of(self, store: ObjectStore, number: int) -> list[bytes | None]:
        name = os.fsdecode(self._files.names[number])
        data = store.get(name) if self._checked is None else self._checked.get(store, name)
        begin, end = self._files.starts[number : number + 2].tolist()

        def part(length: int, start: int) -> bytes:
            return bytes(data[start : start + length])

        version, places = read_places(part, len(data), end - begin)
        with self._trying:  # others may find out meanwhile that no more trials are needed
            agrees = places is not None and self._trust.agrees(number, begin, version, places, part)
            if places is not None and not agrees and self._checked is not None and self._checked.are_checked:
                self._under.forget(range(begin, end))  # it may be Deep Lake's bytes that came damaged
                agrees = self._trust.agrees(number, begin, version, places, part)
        if places is None or not agrees or not self._files.fits(number, len(data)):
            raise _OtherLayoutError
        return [bytes(data[start:stop]) or None for start, stop in pairwise(places.tolist())]

    def _failed(self, reason: str) -> None:
        self._store = None  # the next try looks for keys again
        self._failures += 1
        if self._failures < _MOST_FAILURES:
            return
        self._failures = 0
        self._resting_until = time.monotonic() + min(_REST * 2**self._rests, _LONGEST_REST)
        self._rests += 1
        if self._rests == 1:
            _log.info(
                "%s: images are read through Deep Lake for a while, as reading chunks directly failed %d "
                "times (%s)",
                self._source,
                _MOST_FAILURES,
                reason.strip("_"),
            )
