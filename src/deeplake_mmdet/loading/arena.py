"""Shared memory of a worker process, into which the images of a batch are laid out as they are made.

It is no file of /dev/shm, which containers keep small (64 MB by Docker's default) and where torch's own
loaders hang once it is full: `os.memfd_create` is bounded by the memory of the machine or container alone.

A segment is used again when the training process has let go of all of its batch, and nobody in the worker
has kept an image: new shared memory costs the clearing and the mapping of every page, on both sides. Its
first byte says whether it is in use; the worker sets it and the training process clears it
(`loading.segments`).
"""

from __future__ import annotations

import itertools
import math
import mmap
import os
import sys
import tempfile
import threading
from multiprocessing.reduction import DupFd
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HEADER",
    "Arena",
    "Key",
    "Sent",
    "aligned",
    "dropped_arenas",
    "new_arena",
    "size_needed",
    "take_arena",
]

Key = tuple[int, int]


class Sent(Protocol):
    """An open file on its way to another process."""

    def detach(self) -> int:
        """The file's descriptor in the process that asks, which has to close it; once."""
        ...


_ALIGNMENT = 64
_SPARE = 1.25  # of what the largest batch so far has needed; pages that stay untouched take no memory
_MOST_FREE = 4  # segments kept for later batches
HEADER = _ALIGNMENT

_here = threading.local()
_largest = 0
_numbers = itertools.count()


def aligned(size: int) -> int:
    """A size rounded up to the alignment of 64 bytes, at which the next piece may begin.

    Args:
        size: Bytes.
    """
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def address_of(memory: NDArray[Any]) -> int:
    """Address at which an array's memory begins; takes a tenth of the time of ``ctypes.data``.

    Args:
        memory: Any array; its first element counts, so with negative strides this is not the lowest address.
    """
    address: int = memory.__array_interface__["data"][0]
    return address


class Arena:
    """One piece of shared memory, given out from front to back.

    Args:
        size: Bytes to give out.

    Attributes:
        key: Identifies it among the segments of all processes: process id and a number.
        size: Bytes to give out.
    """

    def __init__(self, size: int) -> None:
        file = _unnamed_file(HEADER + size)
        try:
            self._segment = mmap.mmap(file, HEADER + size)
            self._sent: Sent | None = DupFd(file)
        finally:
            os.close(file)
        self._array: NDArray[np.uint8] = np.frombuffer(self._segment, np.uint8)
        self._first = address_of(self._array)
        self._unused = self._references()
        self.key: Key = (os.getpid(), next(_numbers))
        self.size = size
        self.begin()

    @property
    def is_free(self) -> bool:
        """Whether nobody uses what was given out last."""
        return not self._array[0] and self._references() <= self._unused

    def _references(self) -> int:
        # NumPy has every view, and every view of a view, refer to this array.
        return sys.getrefcount(self._array)

    def begin(self) -> None:
        """Mark it as in use, and give out all of it anew."""
        self._array[0] = 1
        self._used = HEADER

    def end(self) -> None:
        """Mark it as free: what was given out is not used after all."""
        self._array[0] = 0

    def take(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Memory for an array; ordinary memory if there is no room left.

        Args:
            shape: Shape of the array, of uint8.
        """
        size = math.prod(shape)
        start = self._reserve(size)
        if start is None:
            return np.empty(shape, np.uint8)
        return self._array[start : start + size].reshape(shape)

    def place_of(self, memory: NDArray[np.uint8]) -> int | None:
        """Where in the arena an array lies.

        Args:
            memory: Contiguous, shape (n,), uint8.

        Returns:
            Offset in bytes from the beginning of the segment; None if the array is empty or lies elsewhere.
        """
        start = address_of(memory) - self._first
        return start if memory.size and start >= 0 and start + memory.size <= len(self._array) else None

    def put(self, memory: NDArray[np.uint8]) -> int | None:
        """Copy bytes into the arena.

        Args:
            memory: Shape (n,), uint8.

        Returns:
            Offset in bytes from the beginning of the segment; None if there is no room.
        """
        start = self._reserve(memory.size)
        if start is not None:
            self._array[start : start + memory.size] = memory
        return start

    def _reserve(self, size: int) -> int | None:
        start = self._used
        if start + size > len(self._array):
            return None
        self._used = start + aligned(size)
        return start

    def to_send(self) -> Sent | None:
        """Its file, for the other process to map; None once that was done."""
        sent, self._sent = self._sent, None
        return sent


def _unnamed_file(size: int) -> int:
    """A new file that lives as long as a process has it open or mapped; its descriptor."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("deeplake-mmdet")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file


class _Pool:
    """The segments of this process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._lock = threading.Lock()
        self._arenas: list[Arena] = []
        self._dropped: list[Key] = []

    def take(self, size: int) -> Arena:
        """A segment of at least this size that is not in use."""
        with self._lock:
            free = [arena for arena in self._arenas if arena.is_free]
            fitting = [arena for arena in free if arena.size >= size][:_MOST_FREE]
            for arena in free:
                if arena not in fitting:
                    self._arenas.remove(arena)
                    self._dropped.append(arena.key)
            if not fitting:
                arena = Arena(size)
                self._arenas.append(arena)
                return arena
            fitting[0].begin()
            return fitting[0]

    def take_dropped(self) -> list[Key]:
        """Segments that are not used any more since this was asked last."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
        return dropped


_pool: _Pool | None = None


def _own_pool() -> _Pool:
    global _pool
    if _pool is None or _pool.process != os.getpid():
        _pool = _Pool()
    return _pool


def new_arena(size: int = 0) -> Arena | None:
    """An arena for the batch that this thread makes next.

    Args:
        size: Bytes; 0 for what the largest batch so far has needed, and a quarter more.

    Returns:
        None if ``size`` is 0 and no batch has told its size yet.
    """
    if size:
        return _own_pool().take(size)
    left = take_arena()
    if left is not None:  # of a batch that failed
        left.end()
    _here.arena = _own_pool().take(int(_largest * _SPARE)) if _largest else None
    return _here.arena  # type: ignore[no-any-return]


def take_arena() -> Arena | None:
    """The arena of the batch that was just made; once."""
    arena = getattr(_here, "arena", None)
    _here.arena = None
    return arena


def dropped_arenas() -> list[Key]:
    """Arenas that the other process may forget; each once."""
    return _own_pool().take_dropped()


def size_needed(size: int) -> None:
    """Remember how many bytes a batch has needed, for the size of later arenas.

    Args:
        size: Bytes of all its arrays, each rounded up by `aligned`.
    """
    global _largest
    _largest = max(_largest, size)
