"""Keeping freed memory for the next images instead of giving it back to the system."""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory"]

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
