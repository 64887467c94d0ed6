"""Archives by path: ``/data/set.zip/images/a.jpg`` is a file of an archive while that is open.

So whatever looks for files and reads them takes archives as it takes folders, by the functions here and in
`regular_files`. Nothing is unpacked on the disk.
"""

from __future__ import annotations

import errno
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakValueDictionary

__all__ = ["Archive", "archive_at", "listed", "mount"]


class Archive(ABC):
    """Files by name, as an archive lists them. Safe to use from several threads.

    Args:
        sizes: The length of each file in bytes, by its name: relative, with ``/``; empty if the archive is
            one file itself.
    """

    def __init__(self, sizes: dict[str, int]) -> None:
        self._sizes = sizes
        self._folders = {""} - sizes.keys()
        for name in sizes if self._folders else ():
            folder = name.rpartition("/")[0]
            while folder not in self._folders:
                self._folders.add(folder)
                folder = folder.rpartition("/")[0]

    def size(self, name: str) -> int:
        """The length of a file in bytes.

        Args:
            name: Its name.

        Raises:
            OSError: There is no such file.
        """
        try:
            return self._sizes[name]
        except KeyError:
            kind = IsADirectoryError if name in self._folders else FileNotFoundError
            number = errno.EISDIR if name in self._folders else errno.ENOENT
            raise kind(number, os.strerror(number), name) from None

    def is_file(self, name: str) -> bool:
        """Whether there is such a file.

        Args:
            name: Its name.
        """
        return name in self._sizes

    def is_folder(self, name: str) -> bool:
        """Whether files lie below a name.

        Args:
            name: The folder's; empty for the whole archive.
        """
        return name in self._folders

    def names(self, folder: str = "") -> Iterator[str]:
        """All files below a folder, named relative to it.

        Args:
            folder: Its name.
        """
        start = f"{folder}/" if folder else ""
        return (name[len(start) :] for name in self._sizes if name.startswith(start))

    @abstractmethod
    def read(self, name: str, size: int | None = None) -> bytes:
        """A file, or its first bytes.

        Args:
            name: The file.
            size: How many bytes at most; None for all.

        Raises:
            OSError: There is no such file, or it cannot be read; ``strerror`` says why.
            StorageError, CredentialError: The storage failed or refused access.
        """


# By place, and a number that is higher the later it was opened.
_open: WeakValueDictionary[tuple[str, int], Archive] = WeakValueDictionary()
_numbers = itertools.count()


def mount(path: Path, archive: Archive) -> None:
    """Have an archive's files found below a path, for as long as somebody holds the archive.

    Of several at one path the one that was opened last counts: what stands there may be another by now.

    Args:
        path: Where; no folder is there.
        archive: The archive.
    """
    _open[str(path), next(_numbers)] = archive


def archive_at(path: Path) -> tuple[Archive, str] | None:
    """The open archive that a path leads into, and the name in it; None if it leads into none.

    Args:
        path: Any path.
    """
    if not _open:
        return None
    text = str(path)
    found = [
        (len(place), number, archive)
        for (place, number), archive in list(_open.items())
        if text.startswith(place) and text[len(place) : len(place) + 1] in ("", "/")
    ]
    if not found:
        return None
    length, _, archive = max(found, key=lambda one: one[:2])
    return archive, text[length + 1 :]


def listed(folder: Path) -> list[str]:
    """The names of what lies in a folder, sorted.

    Args:
        folder: A folder, or one of an archive.

    Raises:
        OSError: It cannot be listed.
    """
    found = archive_at(folder)
    if found is None:
        return sorted(path.name for path in folder.iterdir())
    archive, name = found
    return sorted({below.partition("/")[0] for below in archive.names(name)})
