"""What loading sets for the whole process: each setting once. docs/loading.md lists them.

Those that rooms below set: ``GOMP_SPINCOUNT`` in `environment`, before torch is imported, and the number of
Deep Lake's requests at once in `lake.calls.concurrency`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import cv2
import torch

__all__ = [
    "INTERVAL",
    "keep_freed_memory",
    "set_for_threads",
    "set_for_worker",
    "set_opencv_threads",
    "settings_restored",
]

_home = os.getpid()  # where OpenCV was imported, and its threads may have been started

INTERVAL = 0.0005  # seconds after which a thread hands Python's interpreter over
_PYTHONS_INTERVAL = 0.005

# <malloc.h>
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_BLOCK = 32 * 2**20  # the most that glibc lets come from its heaps
_KEPT = 512 * 2**20
_SETTINGS = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_ARENA_MAX",
    "GLIBC_TUNABLES",
)


def keep_freed_memory() -> bool:
    """Have this process's allocator keep up to 512 MB of freed memory, for blocks of up to 32 MB.

    glibc returns a megabyte that was freed to the system, which then has to clear and map the pages of the
    next image anew: up to a fifth of the time that loading takes. It also gives threads memory of their own,
    which others cannot use: Deep Lake has dozens of threads, each of which now and then receives 8 MB. From
    now on, new threads share what there is.

    Returns:
        Whether it was done: not where the C library is another one, or where the environment sets the
        allocator already.
    """
    if any(os.environ.get(name) for name in _SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {_MMAP_THRESHOLD: _LARGEST_BLOCK, _TRIM_THRESHOLD: _KEPT, _ARENA_MAX: 1}
    return all(mallopt(name, value) for name, value in settings.items())


def set_for_threads() -> None:
    """For threads of this process that decode side by side.

    They need none of OpenCV's own. And they hand Python's interpreter over after half a millisecond instead
    of five: a thread that has decoded an image needs it for some microseconds before it can decode the next,
    and waits for it as long as the training thread is busy in Python. An interval that the program has set
    stays.
    """
    cv2.setNumThreads(0)
    if sys.getswitchinterval() == _PYTHONS_INTERVAL:
        sys.setswitchinterval(INTERVAL)


def set_for_worker() -> None:
    """For a worker process: the cores are the other workers', so no threads of OpenCV's or torch's own."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    keep_freed_memory()


def set_opencv_threads(count: int) -> None:
    """Give OpenCV so many threads; in a fork none, as it would wait for ever for those of the process before.

    Args:
        count: What ``cv2.getNumThreads`` has told before.
    """
    if os.getpid() == _home:
        cv2.setNumThreads(count)


@contextlib.contextmanager
def settings_restored() -> Iterator[None]:
    """Put back what `set_for_threads` changes when a run is over and the process goes on to other work.

    See `set_opencv_threads`.
    """
    interval, threads = sys.getswitchinterval(), cv2.getNumThreads()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        set_opencv_threads(threads)
