"""`ChunkCache`: encoded images of remote lakes kept on a local disk, whole chunks at a time.

Plain files and the system's own locks, no database: a cell is read by itself out of a chunk, entries are
checked, a killed process leaves nothing wrong or locked, and nothing is open across a fork.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake.cache.chunk_folder import ChunkFolder, claimed
from deeplake_mmdet.lake.cache.entries import DamagedEntryError, entry_size, read_cells, write_entry
from deeplake_mmdet.lake.cache.own_files import check_folder, make_folder, open_file
from deeplake_mmdet.lake.cache.settings import CacheSettings, human_bytes
from deeplake_mmdet.lake.calls.faults import deadline_seconds
from deeplake_mmdet.lake.source.source import ResolvedSource, short_hash

__all__ = ["COUNTERS", "CacheStatistics", "ChunkCache", "new_counters"]

COUNTERS = ("hits", "misses", "calls", "chunks", "evictions", "damaged", "bytes_read", "bytes_fetched")
_SLOTS = 512  # processes that may count side by side
_AT_ONCE = 8  # chunks that one call fetches at a time
_FULL_SECONDS = 10.0  # for which a cache without room is not looked through again

_log = logging.getLogger("deeplake_mmdet")
_told: set[tuple[Path, str]] = set()


class _Lock:
    """A lock that is free in a forked child, even if it was held at the fork."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=lambda: setattr(self, "lock", threading.Lock()))


_counting = _Lock()


@dataclass(frozen=True)
class CacheStatistics:
    """What a cache has done so far, in this process and the worker processes that it started.

    Attributes:
        hits: Images that came from the cache.
        misses: Images that did not.
        calls: Calls into Deep Lake.
        chunks: Chunks fetched as a whole.
        evictions: Entries that gave way.
        damaged: Entries that were dropped as they were cut off or altered.
        bytes_read: Bytes of encoded images that came from the cache.
        bytes_fetched: Bytes that came from the lake, those of unasked neighbours included.
    """

    hits: int = 0
    misses: int = 0
    calls: int = 0
    chunks: int = 0
    evictions: int = 0
    damaged: int = 0
    bytes_read: int = 0
    bytes_fetched: int = 0

    def __sub__(self, earlier: CacheStatistics) -> CacheStatistics:
        return CacheStatistics(*(getattr(self, name) - getattr(earlier, name) for name in COUNTERS))

    def __add__(self, other: CacheStatistics) -> CacheStatistics:
        return CacheStatistics(*(getattr(self, name) + getattr(other, name) for name in COUNTERS))


def new_counters() -> NDArray[np.int64]:
    """Make the counters of one process, zeros.

    `ChunkCache` also takes an array in shared memory that is indexed in the same way.

    Returns:
        Shape (slots, counters), int64.
    """
    return np.zeros((_SLOTS, len(COUNTERS)), np.int64)


class ChunkCache:
    """The cache of one column of one pinned lake. Picklable; holds nothing open.

    All processes of this machine that name the same folder share it: one fetches a chunk, the others wait for
    it, but no longer than the deadline of reads. If the disk fills up, chunks are no longer kept and reads go
    on; this is logged once.

    Args:
        settings: Size and place.
        source: What the lake is pinned to.
        column: Name of the column.
        counters: Numbers that processes share, see `new_counters`.
    """

    def __init__(
        self, settings: CacheSettings, source: ResolvedSource, column: str, counters: Any = None
    ) -> None:
        facts = {"source": source.facts(), "column": column}
        self.settings = settings
        self.column = column
        self._key = short_hash(facts)
        self._facts = json.dumps(facts, sort_keys=True)
        self._counters = new_counters() if counters is None else counters
        self._stopped = False
        self._full_until = 0.0

    def open(self) -> None:
        """Make the folder ready.

        Raises:
            ConfigError: It cannot be made, written to or locked; or what stands there is a link or another
                user's.
        """
        folder = self.settings.folder
        try:
            self._make_folder()
            self._root.open()
            probe = self._folder / f".probe-{os.getpid()}-{threading.get_ident()}"
            descriptor = open_file(probe, os.O_WRONLY | os.O_CREAT)
            try:
                os.write(descriptor, b"x")
            finally:
                os.close(descriptor)
            probe.unlink()
            status = os.statvfs(folder)
        except OSError as error:
            raise ConfigError(
                f"The cache of chunks cannot be used: {error.strerror or error}",
                where=f"dataset key 'cache', folder {folder}",
                advice="name a folder on a local disk: cache=dict(size=..., folder=...)",
            ) from None
        taken = sum(size for _, size in self._root.listing())
        free = status.f_bavail * status.f_frsize + taken
        if free < self.settings.size:
            self._tell(
                "space",
                f"The disk of the cache has room for {human_bytes(free)} of the "
                f"{human_bytes(self.settings.size)} that it may take",
            )

    def statistics(self) -> CacheStatistics:
        """What was counted so far."""
        return CacheStatistics(*(int(number) for number in np.asarray(self._counters).sum(0)))

    def cells(
        self,
        bounds: NDArray[np.int64],
        rows: Sequence[int],
        read: Callable[[Sequence[int]], list[Any]],
        *,
        scattered: bool = False,
    ) -> list[bytes]:
        """Encoded cells of some rows: from the cache, and chunks that are not in it from the lake.

        Args:
            bounds: First rows of all chunks, and the number of rows, shape (chunks + 1,), int64.
            rows: Row numbers, each once.
            read: Reads rows, or a range of them by one request, from the lake; None for cells without bytes.
            scattered: Rows are read in random order and the lake is larger than the cache: a chunk that is
                not there must not drive out another of this lake for a few rows.

        Returns:
            One entry for each row, empty for those without bytes.

        Raises:
            Exception: What ``read`` raises.
        """
        chunks = (np.searchsorted(bounds, np.asarray(rows), side="right") - 1).tolist()
        wanted: dict[int, list[int]] = {}
        for row, chunk in zip(rows, chunks, strict=True):
            wanted.setdefault(chunk, []).append(row)
        found: dict[int, bytes] = {}
        missing: list[tuple[int, int, list[int]]] = []
        for chunk, mine in wanted.items():
            start, stop = int(bounds[chunk]), int(bounds[chunk + 1])
            cells = self._look_up(start, stop, mine)
            if cells is None:
                missing.append((start, stop, mine))
            else:
                found.update(zip(mine, cells, strict=True))
        if scattered:
            missing = self._worth_fetching(missing, found, read)

        def fetch(chunk: tuple[int, int, list[int]]) -> list[bytes]:
            return self._fetch(*chunk, read, spare=scattered)

        if len(missing) > 1:
            with ThreadPoolExecutor(min(len(missing), _AT_ONCE), "deeplake-mmdet-cache") as threads:
                results = list(threads.map(fetch, missing))
        else:
            results = list(map(fetch, missing))
        for (_, _, mine), cells in zip(missing, results, strict=True):
            found.update(zip(mine, cells, strict=True))
        return [found[row] for row in rows]

    def _worth_fetching(
        self,
        missing: list[tuple[int, int, list[int]]],
        found: dict[int, bytes],
        read: Callable[[Sequence[int]], list[Any]],
    ) -> list[tuple[int, int, list[int]]]:
        """Choose the chunks that there is room for, and read the rows of the others by themselves."""
        room = 0
        if missing and time.monotonic() >= self._full_until:
            sizes = [size for path, size in self._root.listing() if path.parent.name == self._key]
            left = self.settings.size - sum(sizes)
            room = left // (sum(sizes) // len(sizes)) if sizes else len(missing)
            if room <= 0:
                room, self._full_until = 0, time.monotonic() + _FULL_SECONDS
        rows = [row for _, _, mine in missing[room:] for row in mine]
        if rows:
            cells = [b"" if cell is None else bytes(cell) for cell in read(rows)]
            found.update(zip(rows, cells, strict=True))
            self._count(misses=len(rows), calls=1, bytes_fetched=sum(map(len, cells)))
        return missing[:room]

    def _fetch(
        self,
        start: int,
        stop: int,
        rows: list[int],
        read: Callable[[Sequence[int]], list[Any]],
        *,
        spare: bool,
    ) -> list[bytes]:
        """Some rows of a chunk that was not there: fetch and keep it, unless another process does."""
        with contextlib.ExitStack() as stack:
            part = None
            if not self._stopped:
                try:
                    self._make_folder()  # whoever clears the cache may do so at any time
                    place = self._path(start, stop)
                    end = time.monotonic() + deadline_seconds()
                    part = stack.enter_context(claimed(place.with_suffix(".part"), place, end))
                except OSError as error:
                    self._stop(error)
            if part is None and (cells := self._look_up(start, stop, rows)) is not None:
                return cells
            whole = [b"" if cell is None else bytes(cell) for cell in read(range(start, stop))]
            self._count(misses=len(rows), calls=1, chunks=1, bytes_fetched=sum(map(len, whole)))
            if part is not None:
                self._keep(part, start, stop, whole, spare=spare)
        return [whole[row - start] for row in rows]

    def _keep(self, part: int, start: int, stop: int, cells: list[bytes], *, spare: bool) -> None:
        place, count = self._path(start, stop), entry_size(cells)
        reserved = False
        try:
            evicted = self._root.reserve(part, count, spare=self._key if spare else None)
            if evicted is None:
                if count > self.settings.size:
                    self._tell("chunk", f"A chunk of {human_bytes(count)} is larger than the whole cache")
                return
            reserved = True
            write_entry(part, self._identity(start, stop), cells)
            os.utime(part, ns=(time.time_ns(),) * 2)
            place.with_suffix(".part").rename(place)
            self._count(evictions=evicted)
        except OSError as error:
            if reserved:
                self._root.give_back(count)
            self._stop(error)

    def _look_up(self, start: int, stop: int, rows: Sequence[int]) -> list[bytes] | None:
        """Cells of an entry; None if it is not there, or is no good and was dropped."""
        place = self._path(start, stop)
        try:
            check_folder(self._root.root)
            check_folder(self._folder)
            descriptor = open_file(place, os.O_RDONLY)
        except OSError:
            return None
        try:
            identity = self._identity(start, stop)
            cells = read_cells(descriptor, identity, stop - start, [row - start for row in rows])
            with contextlib.suppress(OSError):  # of a folder that is read-only by now
                os.utime(descriptor, ns=(time.time_ns(),) * 2)
        except DamagedEntryError as error:
            self._drop(place, descriptor, error)
            return None
        finally:
            os.close(descriptor)
        self._count(hits=len(rows), bytes_read=sum(map(len, cells)))
        return cells

    def drop(self, bounds: NDArray[np.int64], row: int) -> None:
        """Delete the cached chunk that holds a row, because the image in it turned out to be damaged.

        Args:
            bounds: First rows of all chunks, and the number of rows, as for `cells`.
            row: Row number, from 0.
        """
        chunk = int(np.searchsorted(bounds, row, side="right")) - 1
        place = self._path(int(bounds[chunk]), int(bounds[chunk + 1]))
        with contextlib.suppress(OSError):
            size = place.stat().st_size
            place.unlink()
            self._root.give_back(size)

    def _drop(self, place: Path, descriptor: int, error: DamagedEntryError) -> None:
        with contextlib.suppress(OSError):
            here, there = os.fstat(descriptor), place.stat()
            if here.st_ino == there.st_ino:
                place.unlink()
                self._root.give_back(here.st_size)
        self._count(damaged=1)
        self._tell("damaged", f"An entry of the cache was damaged and is fetched anew ({error}): {place}")

    def _stop(self, error: OSError) -> None:
        """Stop keeping chunks; those that are in the cache are still used."""
        self._stopped = True
        self._tell(
            "full", f"The cache cannot be written to and takes no more chunks: {error.strerror or error}"
        )

    def _tell(self, about: str, what: str) -> None:
        if (self._folder, about) not in _told:
            _told.add((self._folder, about))
            _log.warning("%s (cache %s)", what, self.settings.folder)

    def _count(self, **numbers: int) -> None:
        with _counting.lock:
            row = np.asarray(self._counters)[os.getpid() % _SLOTS]
            for name, number in numbers.items():
                row[COUNTERS.index(name)] += number

    def _make_folder(self) -> None:
        make_folder(self._root.root)
        make_folder(self._folder)

    @property
    def _root(self) -> ChunkFolder:
        return ChunkFolder(self.settings.folder, self.settings.size)

    @property
    def _folder(self) -> Path:
        return self._root.root / self._key

    def _path(self, start: int, stop: int) -> Path:
        return self._folder / f"{start:010d}-{stop:010d}.chunk"

    def _identity(self, start: int, stop: int) -> bytes:
        return hashlib.blake2s(f"{self._facts} {start} {stop}".encode(), digest_size=16).digest()
