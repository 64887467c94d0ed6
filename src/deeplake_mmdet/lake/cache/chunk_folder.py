"""The folder of the cache of chunks: its size, kept under a limit by all processes together, and its locks.

    <folder>/chunks-v1/usage                        bytes taken; also the lock of those who change that
    <folder>/chunks-v1/<key>/<rows>.chunk           a complete entry, put there by a rename
    <folder>/chunks-v1/<key>/<rows>.part            one being fetched, locked by its fetcher

The system frees locks when their holder dies. An entry's time of change is that of its last use. The number
in ``usage`` may come to be too large when a writer is killed; whoever evicts counts anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deeplake_mmdet.lake.cache.own_files import open_file

__all__ = ["FORMAT", "ChunkFolder", "cached_chunks", "claimed", "remove_chunks"]

FORMAT = "chunks-v1"  # another version of this package with other files uses another name
_USAGE = "usage"
_FIRST_POLL, _LONGEST_POLL = 2e-3, 5e-2
_LOCK_PATIENCE = 10.0
_SLACK = 50  # large caches are emptied by a fiftieth at a time, as each time all files are looked through


@dataclass(frozen=True)
class _Entry:
    used: int
    size: int
    path: str


class ChunkFolder:
    """The cache's folder of this version, shared by any number of processes.

    Args:
        folder: The cache's folder.
        size: Bytes that all entries together may take.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.root = folder / FORMAT
        self.size = size

    def open(self) -> None:
        """Remove what killed processes left, and count what is there.

        Raises:
            OSError: The folder is not there, or cannot be written to or locked.
        """
        with self._locked() as usage:
            if usage is None:
                return  # another process is at work in it
            for entry in list(self._entries()):
                if entry.path.endswith(".part"):
                    _sweep(Path(entry.path))
            _write(usage, sum(entry.size for entry in self._entries()))

    def reserve(self, part: int, count: int, *, spare: str | None = None) -> int | None:
        """Make room for a file by deleting the least recently used ones, and give it its length.

        Args:
            part: Descriptor of the file.
            count: Its size in bytes.
            spare: Name of a subfolder of which nothing may be deleted.

        Returns:
            How many entries were deleted; None if there is no room, or others hold the lock for too long.

        Raises:
            OSError: The folder cannot be written to or locked.
        """
        if count > self.size:
            return None
        with self._locked() as usage:
            if usage is None:
                return None
            total, evicted = _read(usage), 0
            if total + count > self.size:
                total, evicted = self._evict(count, spare)
            fits = total + count <= self.size
            if fits:
                os.ftruncate(part, count)
            _write(usage, total + count if fits else total)
        return evicted if fits else None

    def give_back(self, count: int) -> None:
        """Count bytes as free again, after a file was deleted or could not be written.

        Args:
            count: The file's size in bytes.
        """
        with contextlib.suppress(OSError), self._locked() as usage:
            if usage is not None:
                _write(usage, max(_read(usage) - count, 0))

    def listing(self) -> list[tuple[Path, int]]:
        """All complete entries and their bytes."""
        return [(Path(entry.path), entry.size) for entry in self._entries() if entry.path.endswith(".chunk")]

    def _evict(self, count: int, spare: str | None) -> tuple[int, int]:
        """Remove entries until so many bytes are free. Gives the bytes that are left, and how many went."""
        entries = list(self._entries())
        total, gone = sum(entry.size for entry in entries), 0
        slack = self.size // _SLACK if self.size >= 2 * _SLACK * count else 0
        for entry in sorted(entries, key=lambda entry: entry.used):
            if total + count + slack <= self.size:
                break
            folder, _, name = entry.path.rpartition("/")
            if name.endswith(".part") or folder.rpartition("/")[2] == spare:
                continue
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.path)  # noqa: PTH108 - thousands of them
                gone += 1
            total -= entry.size
        return total, gone

    def _entries(self) -> Iterator[_Entry]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root) as folders:
            for folder in folders:
                if not folder.is_dir(follow_symlinks=False):
                    continue
                with contextlib.suppress(NotADirectoryError, FileNotFoundError), os.scandir(folder) as files:
                    for file in files:
                        with contextlib.suppress(FileNotFoundError):
                            status = file.stat(follow_symlinks=False)
                            yield _Entry(status.st_mtime_ns, status.st_size, file.path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int | None]:
        """The open file ``usage``, locked; None if others hold it for too long."""
        usage = open_file(self.root / _USAGE, os.O_RDWR | os.O_CREAT)
        try:
            held = _lock(usage, time.monotonic() + _LOCK_PATIENCE)
            try:
                yield usage if held else None
            finally:
                # Not left to closing: a process forked meanwhile has the file open as well.
                if held:
                    fcntl.flock(usage, fcntl.LOCK_UN)
        finally:
            os.close(usage)


@contextlib.contextmanager
def claimed(part: Path, done: Path, end: float) -> Iterator[int | None]:
    """Lock an entry that is to be fetched, or wait for the process that has locked it.

    Args:
        part: The file to be written; it is removed on leaving, unless it was renamed to ``done``.
        done: The complete entry.
        end: When to give up, by ``time.monotonic()``.

    Yields:
        Descriptor of ``part``, empty and locked; None if ``done`` is there, or another takes too long.

    Raises:
        OSError: The file cannot be made or locked.
    """
    poll = _FIRST_POLL
    while not done.exists():
        descriptor = open_file(part, os.O_RDWR | os.O_CREAT)
        try:
            # Locked, but at its place no more: it has been published or removed between the two calls.
            if _lock(descriptor, 0.0) and _is_at(descriptor, part) and not done.exists():
                try:
                    os.ftruncate(descriptor, 0)
                    yield descriptor
                finally:
                    if _is_at(descriptor, part):
                        part.unlink(missing_ok=True)
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                return
            if done.exists() and _lock(descriptor, 0.0) and _is_at(descriptor, part):
                part.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
        if time.monotonic() >= end:
            break
        time.sleep(poll)
        poll = min(poll * 1.5, _LONGEST_POLL)
    yield None


def cached_chunks(folder: Path) -> list[tuple[Path, int]]:
    """List the complete chunk files in a cache folder, of every version of the file format.

    Args:
        folder: The folder that the user named; the files lie in its subfolders ``chunks-v*``.

    Returns:
        Path and size in bytes of each file.

    Raises:
        OSError: A file cannot be examined, e.g. because it was deleted meanwhile.
    """
    return [(path, path.stat().st_size) for path in sorted(folder.glob("chunks-v*/*/*.chunk"))]


def remove_chunks(folder: Path) -> int:
    """Delete the chunk caches in a folder, of every version of the file format.

    Args:
        folder: The folder that the user named; only its subfolders ``chunks-v*`` are deleted.

    Returns:
        Bytes that were in them, partly written files included.

    Raises:
        OSError: A file cannot be examined. One that cannot be deleted is left there without an error.
    """
    freed = 0
    for root in folder.glob("chunks-v*"):
        freed += sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
        shutil.rmtree(root, ignore_errors=True)
    return freed


def _lock(descriptor: int, end: float) -> bool:
    """Lock a file; False if others hold it up to ``end``, by ``time.monotonic()``."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_FIRST_POLL)


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        here, there = os.fstat(descriptor), path.stat()
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    return False


def _sweep(part: Path) -> None:
    """Remove what a killed fetcher has left; one that is alive holds the lock."""
    with contextlib.suppress(OSError):
        descriptor = open_file(part, os.O_RDWR)
        try:
            if _lock(descriptor, 0.0) and _is_at(descriptor, part):
                part.unlink()
        finally:
            os.close(descriptor)


def _read(usage: int) -> int:
    return int.from_bytes(os.pread(usage, 8, 0), "little")


def _write(usage: int, total: int) -> None:
    os.pwrite(usage, total.to_bytes(8, "little"), 0)
