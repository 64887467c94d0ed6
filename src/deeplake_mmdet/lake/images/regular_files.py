"""Reading files that others name: a pipe or a device in a file's place is refused, not waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from deeplake_mmdet.lake.archives.mounts import archive_at

__all__ = ["read_regular", "size_of"]

_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
    (stat.S_ISSOCK, "it is a socket"),
)


def read_regular(path: Path, size: int | None = None, *, most: int | None = None) -> bytes:
    """Read a regular file, a link to one, or a file of an open archive (see `mount`).

    Args:
        path: The file.
        size: How many of its first bytes; all otherwise.
        most: How long the file may be.

    Raises:
        OSError: It is missing, cannot be read, is longer, or no regular file; ``strerror`` says which.
        ValueError: A zero byte in the name.
        StorageError, CredentialError: The file is in a bucket, and its storage failed or refused access.
    """
    if (found := archive_at(path)) is not None:
        archive, name = found
        if most is not None and (length := archive.size(name)) > most:
            raise _too_long(path, length, most)
        return archive.read(name, size)
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
        raise _too_long(path, state.st_size, most)


def _too_long(path: Path, length: int, most: int) -> OSError:
    return OSError(errno.EFBIG, f"it has {length} bytes, more than the {most} allowed", str(path))


def size_of(path: Path) -> int:
    """The length of a file in bytes, which may be one of an open archive.

    Args:
        path: The file.

    Raises:
        OSError, ValueError: There is none.
    """
    found = archive_at(path)
    return path.stat().st_size if found is None else found[0].size(found[1])
