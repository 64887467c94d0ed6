"""Files of the caches, which may lie where others can write: only plain files and folders of this user count.

A link, a pipe or a second name that somebody else has put there would let us read, or write over, any file of
ours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_folder", "locked", "make_folder", "open_file", "read_text"]

_LOCK_POLL = 0.05  # seconds


def make_folder(folder: Path) -> None:
    """Make a folder of a cache, and the missing folders above it, readable by this user only.

    Args:
        folder: The folder; it may be there already.

    Raises:
        OSError: It cannot be made; or what stands there is a link, no folder, or another user's.
    """
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Refuse a cache's folder that is a link, or another user's.

    Args:
        folder: The folder.

    Raises:
        OSError: It is a link, no folder, another user's, or not there.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is a link or no folder", str(folder))
    _check_owner(found, folder)


def open_file(path: Path, flags: int) -> int:
    """Open a file of a cache, or make it, for this user alone.

    Args:
        path: The file; its folder has been checked.
        flags: Flags of ``os.open``.

    Returns:
        The descriptor.

    Raises:
        OSError: It cannot be opened; or it is a link, no plain file, another user's, or has a second name.
    """
    safely = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # the second for pipes, which would wait
    descriptor = os.open(path, flags | safely, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise PermissionError(errno.EPERM, "it is no plain file, or has a second name", str(path))
        _check_owner(found, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def locked(path: Path, patience: float) -> Iterator[bool]:
    """Hold a lock, or go on without; the system frees it when its holder dies.

    Args:
        path: The lock's file; made if it is missing.
        patience: Seconds to wait for another holder.

    Yields:
        Whether it is held: not where locks are not supported, or if its holder takes too long.

    Raises:
        OSError: As `open_file`.
    """
    with os.fdopen(open_file(path, os.O_RDWR | os.O_CREAT), "r+") as file:
        end = time.monotonic() + patience
        held = False
        while not held and time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError:
                time.sleep(_LOCK_POLL)
            except OSError:
                break
        yield held


def read_text(path: Path) -> str:
    """Read a small file of a cache.

    Args:
        path: The file; its folder has been checked.

    Raises:
        OSError: As `open_file`; or it cannot be read.
        UnicodeDecodeError: It holds no text.
    """
    with os.fdopen(open_file(path, os.O_RDONLY)) as file:
        return file.read()


def _check_owner(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it is another user's", str(path))
