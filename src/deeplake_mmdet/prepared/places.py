"""The folder of prepared images: a place for each view and pipeline, of which the oldest make room."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from deeplake_mmdet.lake import (
    cache_folder,
    cache_locked,
    make_cache_folder,
    open_cache_file,
    read_cache_text,
)

__all__ = [
    "MEMORY",
    "Place",
    "default_folder",
    "lock_shared",
    "make_room",
    "network_file_system",
    "prepared_folders",
    "remove_prepared",
]

MEMORY = "/dev/shm"  # files there take memory, and no disk
_FACTS, _LOCK = "facts.json", "lock"
_PATIENCE = 30.0  # seconds to wait for another process that makes room
_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "gpfs",
    "beegfs",
)


class Place(NamedTuple):
    """Prepared images of one view and pipeline.

    Attributes:
        folder: Where they are.
        what: What they are, for people.
        planned: Bytes that they take once all are there.
        used: When they were last opened, in seconds since 1970.
    """

    folder: Path
    what: str
    planned: int
    used: float

    @property
    def bytes(self) -> int:
        """Bytes on the disk now."""
        found = 0
        for file in self.folder.glob("*"):
            with contextlib.suppress(OSError):
                found += file.lstat().st_blocks * 512
        return found


def default_folder(kind: str = "disk") -> Path:
    """Where images are kept if no folder is named.

    Args:
        kind: ``'disk'`` for the user's cache folder, ``'ram'`` for the user's folder in ``/dev/shm``.
    """
    return Path(f"{MEMORY}/deeplake-mmdet-{os.geteuid()}") if kind == "ram" else cache_folder()


def prepared_folders(folder: Path) -> list[Place]:
    """What is prepared in a folder, the oldest first.

    Args:
        folder: As in the setting ``prepared``; it need not exist.
    """
    found = []
    for child in folder.glob("prepared-*"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts = json.loads(read_cache_text(child / _FACTS))
            used = (child / _FACTS).lstat().st_mtime
            found.append(Place(child, str(facts["what"]), int(facts["planned"]), used))
    return sorted(found, key=lambda place: place.used)


def remove_prepared(folder: Path) -> int:
    """Remove all that is prepared in a folder, except what a process uses now.

    Args:
        folder: As in the setting ``prepared``; it need not exist.

    Returns:
        Number of bytes freed.
    """
    return sum(_remove(place) for place in prepared_folders(folder))


def make_room(folder: Path, name: str, what: str, wanted: int, size: int) -> tuple[Path, int, int]:
    """A place for some images; where there is not enough room, the longest unused ones of others are removed.

    Args:
        folder: Folder of all places; made if it is missing.
        name: Name of the place, which tells views and pipelines apart.
        what: Description of the images, for people.
        wanted: Bytes that all images take.
        size: Bytes that all places together may take.

    Returns:
        The place's folder, the bytes that it may take, and a descriptor whose lock says that it is in use.

    Raises:
        OSError: Nothing can be written there, or it is another user's.
    """
    make_cache_folder(folder)
    own = folder / f"prepared-{name}"
    with cache_locked(folder / ".prepared.lock", _PATIENCE):
        others = [place for place in prepared_folders(folder) if place.folder != own]
        busy = sum(place.planned for place in others if _is_used(place.folder))
        allowed = max(0, min(wanted, size - busy))
        idle = [place for place in others if not _is_used(place.folder)]
        left = sum(place.planned for place in idle)
        for place in idle:
            if left + allowed <= size - busy:
                break
            _remove(place)
            left -= place.planned
        before = next((place for place in prepared_folders(folder) if place.folder == own), None)
        if before is not None and before.planned > allowed and not _is_used(own):
            _remove(before)  # the setting has become smaller
        make_cache_folder(own)
        lock = lock_shared(own)
        facts = json.dumps({"what": what, "planned": allowed})
        part = own / f"{_FACTS}.{os.getpid()}"
        with os.fdopen(open_cache_file(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
            file.write(facts)
        part.rename(own / _FACTS)
    return own, allowed, lock


def lock_shared(place: Path) -> int:
    """Say that a place is in use, until the descriptor is closed by all processes that have it.

    Args:
        place: Folder of the place, which exists.

    Returns:
        Descriptor of its lock file, for the caller to close.

    Raises:
        OSError: The lock file cannot be made or opened. A file system without locks is no error.
    """
    descriptor = open_cache_file(place / _LOCK, os.O_RDWR | os.O_CREAT)
    with contextlib.suppress(OSError):  # where there are no locks
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def network_file_system(folder: Path) -> str | None:
    """The kind of network file system that a folder is on, as Linux names it, e.g. ``'nfs4'``.

    Args:
        folder: The folder, which need not exist.

    Returns:
        None if it is on a local one, or if that is not known.
    """
    place, best = str(folder.resolve()), ("", "")
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, mount, kind, *_ = line.split(" ")
        mount = mount.replace("\\040", " ").rstrip("/") or "/"
        inside = mount == "/" or place == mount or place.startswith(f"{mount}/")
        if inside and len(mount) >= len(best[0]):
            best = mount, kind
    kind = best[1]
    return kind if kind in _NETWORK or kind.startswith("fuse.") else None


def _is_used(place: Path) -> bool:
    try:
        descriptor = open_cache_file(place / _LOCK, os.O_RDWR | os.O_CREAT)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _remove(place: Place) -> int:
    if _is_used(place.folder):
        return 0
    freed = place.bytes
    shutil.rmtree(place.folder, ignore_errors=True)
    return freed
