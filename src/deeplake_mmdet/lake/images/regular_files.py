"""Reading files that others name: a pipe or a device in a file's place is refused, not waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["read_regular"]

_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
    (stat.S_ISSOCK, "it is a socket"),
)


def read_regular(path: Path, size: int | None = None, *, most: int | None = None) -> bytes:
    """Read a regular file, or a link to one.

    Args:
        path: The file.
        size: How many of its first bytes; all otherwise.
        most: How long the file may be.

    Raises:
        OSError: It is missing, cannot be read, is longer, or no regular file; ``strerror`` says which.
        ValueError: A zero byte in the name.
    """
    _check(path, path.stat(), most)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        _check(path, state, most)  # it may have been exchanged meanwhile
        return file.read(state.st_size if size is None else min(size, state.st_size))


def _check(path: Path, state: os.stat_result, most: int | None) -> None:
    for is_kind, what in _KINDS:
        if is_kind(state.st_mode):
            raise OSError(errno.EISDIR if is_kind is stat.S_ISDIR else errno.EINVAL, what, str(path))
    if most is not None and state.st_size > most:
        raise OSError(errno.EFBIG, f"it has {state.st_size} bytes, more than the {most} allowed", str(path))
