"""The files of a folder by name, found although their names are written a little differently elsewhere."""

from __future__ import annotations

import os
import stat
import unicodedata
from array import array
from collections.abc import Iterator
from difflib import get_close_matches
from heapq import heappush, heappushpop
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from deeplake_mmdet.lake.archives.mounts import archive_at

__all__ = ["FileNames", "is_file", "is_folder", "loose", "split_extension"]

_COMPARED = 5_000_000  # names that hints may look at in all: a second or so
_POOL = 2_000  # names compared letter by letter for one hint


class FileNames:
    """The files below a folder that have one of some extensions, scanned once.

    Links to folders are followed, folders that cannot be listed are passed over. Memory is the names'
    bytes and 16 bytes for each: no Python object is kept per file.

    Args:
        folder: The folder; names are relative to it, with ``/`` between their parts.
        extensions: Lower case, with the dot; files match in any letter case.
    """

    def __init__(self, folder: Path, extensions: tuple[str, ...]) -> None:
        self._extensions = extensions
        self._text = bytearray()
        hashes, starts = array("q"), array("q")
        for name in _walk(folder):
            stem, extension = split_extension(name, extensions)
            if extension:
                hashes.append(hash(loose(stem)))
                starts.append(len(self._text))
                self._text += os.fsencode(name) + b"\0"
        unsorted = np.frombuffer(hashes, np.int64) if hashes else np.zeros(0, np.int64)
        order = np.argsort(unsorted, kind="stable")
        self._hashes = unsorted[order]
        self._starts = np.array(starts, np.int64)[order]
        self._compared = 0

    def __len__(self) -> int:
        return len(self._hashes)

    def __iter__(self) -> Iterator[str]:
        """All names, in no order."""
        return map(self._name, self._starts)

    def like(self, stem: str) -> list[str]:
        """The files called ``stem`` plus an extension, whatever letter case, Unicode form and URL quoting.

        Args:
            stem: A name without extension, relative to the folder.

        Returns:
            Their names with extension, sorted.
        """
        wanted = loose(stem)
        key = np.int64(hash(wanted))
        first, end = (int(np.searchsorted(self._hashes, key, side)) for side in ("left", "right"))
        names = map(self._name, self._starts[first:end])
        return sorted(n for n in names if loose(split_extension(n, self._extensions)[0]) == wanted)

    def nearest(self, name: str) -> str | None:
        """The file whose name is most like this one, for a message; ``None`` if there is none.

        Compared are last parts: an equal one in another folder, else, in large folders, those that begin
        and end most alike. After a few million names no more are looked at.

        Args:
            name: A name with its extension; its folders do not count.
        """
        if self._compared > _COMPARED:
            return None
        self._compared += len(self)
        wanted = _last(name)
        best: list[tuple[int, str, str]] = []
        for other in self:
            last = _last(other)
            if last == wanted:
                return other
            entry = (_common(last, wanted) + _common(last[::-1], wanted[::-1]), last, other)
            (heappush if len(best) < _POOL else heappushpop)(best, entry)
        pool = {last: other for _, last, other in best}
        near = get_close_matches(wanted, pool, n=1)
        return pool[near[0]] if near else None

    def _name(self, start: int) -> str:
        return os.fsdecode(bytes(self._text[start : self._text.index(0, start)]))


def is_file(path: Path) -> bool:
    """Whether there is a file, for any text as its path: names too long or impossible are no files.

    What cannot be looked at for want of permission counts as a file: reading it tells what is wrong.

    Args:
        path: The path, which may lead into an open archive; links are followed.
    """
    if (found := archive_at(path)) is not None:
        return found[0].is_file(found[1])
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; one that cannot be looked at for want of permission counts.

    Args:
        path: The path, which may be any text, and lead into an open archive; links are followed.
    """
    if (found := archive_at(path)) is not None:
        return found[0].is_folder(found[1])
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def loose(name: str) -> str:
    """A name without URL quoting, in Unicode form NFC and without letter case.

    Args:
        name: The name or path.
    """
    return unicodedata.normalize("NFC", unquote(name)).casefold()


def split_extension(name: str, extensions: tuple[str, ...]) -> tuple[str, str]:
    """Split a name into ``(stem, extension)``; the extension is empty where the name has none of these.

    Args:
        name: A file name or path.
        extensions: Lower case, with the dot; the name's may be in any letter case.
    """
    stem, dot, extension = name.rpartition(".")
    if stem and not stem.endswith("/") and dot + extension.lower() in extensions:
        return stem, dot + extension
    return name, ""


def _last(name: str) -> str:
    return loose(name.replace("\\", "/")).rpartition("/")[2]


def _common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _walk(folder: Path) -> Iterator[str]:
    if (found := archive_at(folder)) is not None:
        yield from found[0].names(found[1])
        return
    waiting = [""]
    entered: set[tuple[int, int]] = set()  # links may lead back
    while waiting:
        inside = waiting.pop()
        place = folder / inside
        try:
            state = place.stat()
            if (state.st_dev, state.st_ino) in entered:
                continue
            entered.add((state.st_dev, state.st_ino))
            entries = os.scandir(place)
        except OSError:
            continue
        with entries:
            for entry in entries:
                kind = _kind(entry)
                if kind == "folder":
                    waiting.append(f"{inside}{entry.name}/")
                elif kind == "file":
                    yield f"{inside}{entry.name}"


def _kind(entry: os.DirEntry[str]) -> str | None:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else None
    except OSError:  # a link to itself
        return None
