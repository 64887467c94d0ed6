"""Files kept in memory while something is timed."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

__all__ = ["in_memory"]


@contextmanager
def in_memory(folders: Iterable[Path]) -> Iterator[None]:
    """All files below some folders are in memory, and stay there.

    Whether a page of a file happens to be there must not decide between contestants, and some virtual
    machines take pages away that nobody has read for a minute. Without the right to lock so much memory the
    files are read once.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        seen: set[tuple[int, int]] = set()
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                status = path.stat()
                if not path.is_file() or not status.st_size or (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                with path.open("rb") as file:
                    mapped = stack.enter_context(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
                pages = np.frombuffer(mapped, np.uint8)
                if libc.mlock(ctypes.c_void_p(pages.ctypes.data), ctypes.c_size_t(pages.size)):
                    pages[:: mmap.PAGESIZE].max()
                del pages  # or the file could not be unmapped
        yield
