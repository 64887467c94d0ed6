"""Keeping freed memory for the next images instead of giving it back to the system."""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory"]

# <malloc.h>
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK = 32 * 2**20  # the most that glibc lets come from its heaps
_KEPT = 512 * 2**20
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Have this process's allocator keep up to 512 MB of freed memory, for blocks of up to 32 MB.

    glibc returns a megabyte that was freed to the system, which then has to clear and map the pages of the
    next image anew: up to a fifth of the time that loading takes.

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
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK) and mallopt(_TRIM_THRESHOLD, _KEPT))
