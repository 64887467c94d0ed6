"""Shared memory for a batch of a worker process, into which images are laid out as they are made."""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Arena", "aligned", "new_arena", "size_needed", "take_arena"]

_ALIGNMENT = 64
_SPARE = 1.25  # of what the largest batch so far has needed; pages that stay untouched take no memory
_here = threading.local()
_largest = 0


def aligned(size: int) -> int:
    """``size`` rounded up to where the next thing may begin."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class Arena:
    """One piece of shared memory, given out from front to back.

    Args:
        size: Bytes.

    Attributes:
        segment: All of it.
    """

    def __init__(self, size: int) -> None:
        # as torch's own default_collate gets its memory in a worker
        storage = torch.UntypedStorage._new_shared(max(size, 1))  # type: ignore[no-untyped-call]
        self.segment = torch.empty(0, dtype=torch.uint8).set_(storage)
        self._array: NDArray[np.uint8] = self.segment.numpy()
        self._first = self._array.ctypes.data
        self._used = 0

    def take(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Memory for bytes of this shape; ordinary memory if there is no room left."""
        size = int(np.prod(shape))
        start = self.reserve(size)
        if start is None:
            return np.empty(shape, np.uint8)
        return self._array[start : start + size].reshape(shape)

    def reserve(self, size: int) -> int | None:
        """Where the next ``size`` bytes begin, or None if there is no room for them."""
        start = self._used
        if start + size > len(self._array):
            return None
        self._used = start + aligned(size)
        return start

    def place_of(self, memory: NDArray[np.uint8]) -> int | None:
        """Where in the arena some memory lies, or None if it lies elsewhere."""
        start = memory.ctypes.data - self._first
        return start if memory.size and start >= 0 and start + memory.size <= len(self._array) else None

    def put(self, memory: NDArray[np.uint8]) -> int | None:
        """Copy some memory in; None if there is no room."""
        start = self.reserve(memory.size)
        if start is not None:
            self._array[start : start + memory.size] = memory
        return start


def new_arena() -> Arena | None:
    """An arena for the batch that this thread makes next; None before a first batch told its size."""
    _here.arena = Arena(int(_largest * _SPARE)) if _largest else None
    return _here.arena  # type: ignore[no-any-return]


def take_arena() -> Arena | None:
    """The arena of the batch that was just made; once."""
    arena = getattr(_here, "arena", None)
    _here.arena = None
    return arena


def size_needed(size: int) -> None:
    """Learn how many bytes a batch has needed."""
    global _largest
    _largest = max(_largest, size)
