"""The training process's side of the workers' shared memory: mapped once, given back batch by batch."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.loading.arena import Key, Sent

__all__ = ["mapped"]

_segments: dict[Key, mmap.mmap] = {}


def mapped(key: Key, sent: Sent | None, dropped: Sequence[Key]) -> NDArray[np.uint8]:
    """All of a segment, for one batch: when the array and all views of it are gone, the worker may use it.

    Args:
        key: The arena's key.
        sent: Its file, if this is the first batch from it; None later.
        dropped: Keys of segments that will not come again.
    """
    for gone in dropped:
        _segments.pop(gone, None)
    if sent is not None:
        _forget_dead_workers()
        file = sent.detach()
        try:
            _segments[key] = mmap.mmap(file, os.fstat(file).st_size)
        finally:
            os.close(file)
    segment = _segments[key]
    whole: NDArray[np.uint8] = np.frombuffer(segment, np.uint8)
    weakref.finalize(whole, _give_back, np.frombuffer(segment, np.uint8), os.getpid()).atexit = False
    return whole


def _give_back(segment: NDArray[np.uint8], process: int) -> None:
    if os.getpid() == process:  # a fork's copy says nothing about what its parent uses
        segment[0] = 0


def _forget_dead_workers() -> None:
    for process in {process for process, _ in _segments}:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            for key in [key for key in _segments if key[0] == process]:
                del _segments[key]
        except PermissionError:
            pass  # it lives, as someone else
