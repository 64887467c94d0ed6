"""Where a new lake is written: it appears at its final place only when it is complete.

A folder is written beside its place and exchanged with what stands there in one step of the file system.
Addresses, and folders of file systems that cannot exchange, are for `branches`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, ImportRefusedError, InstallError, StorageError
from deeplake_mmdet.lake.calls.faults import Background, deadline_seconds, wait
from deeplake_mmdet.lake.calls.storage_errors import cause_of
from deeplake_mmdet.lake.direct.branch_log import LOG

__all__ = [
    "LocalTarget",
    "active",
    "check_complete",
    "exchange",
    "host_name",
    "is_alive",
    "refuse_existing",
    "refuse_foreign",
    "refuse_other",
    "storage_errors",
    "upload",
]

# What this very process writes to; anything else with its id is of a dead namesake.
active: set[str] = set()
METADATA = "deeplake_mmdet"
_SLOWEST = 2**20  # bytes a second that an upload is granted, besides the deadline
_IN_MEMORY = 2**25  # bytes of rows after which the disk is waited for
_LAST = "_importing"  # a file of no bytes, in the folder while it is written
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def storage_errors(what: str, where: str, creds: Mapping[str, str] | None) -> Iterator[None]:
    """Turn Deep Lake's errors into ours, in a ``with`` statement, without the values of ``creds``.

    Args:
        what: What cannot be done, begins the message.
        where: Address of the lake, for the message.
        creds: Keys of the storage, by Deep Lake's names; None for none.

    Raises:
        StorageError: The block raised any other error than this package's, which pass.
        DeepLakeMMDetError: Of the kind that fits the cause that S3 itself gives.
    """
    try:
        yield
    except StorageError as error:  # the deadline passed
        raise StorageError(f"{what}: {error.what}", where=error.where, advice=error.advice) from None
    except DeepLakeMMDetError:
        raise
    except Exception as error:
        if (cause := cause_of(error, f"lake {where}")) is not None:
            cause.what = f"{what}: {cause.what}"
            raise cause from None
        text = f"{type(error).__name__}: {error}"
        for secret in sorted((creds or {}).values(), key=len, reverse=True):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, "***")
        # Not chained: the original text may hold credentials.
        raise StorageError(
            f"{what} ({text})",
            where=f"lake {where}",
            advice="Check the address, the credentials, the network and the free space",
        ) from None


def upload(start: Callable[[], Any], where: str, size: int) -> None:
    """Wait for a call that sends data; Ctrl-C ends the waiting at any time.

    Args:
        start: Starts the call, see `wait`.
        where: The lake, for messages.
        size: Bytes to send; what is slower than 1 MiB/s by more than the deadline is given up.

    Raises:
        StorageError: Time is up.
        Exception: As Deep Lake raises it.
    """
    wait(start, time.monotonic() + deadline_seconds() + size / _SLOWEST, where)


def check_complete(
    written: Any, reopen: Callable[[], Any], rows: int, sizes: Mapping[str, int], where: str, advice: str
) -> None:
    """Refuse a lake of which not every row and every object has arrived.

    Args:
        written: The lake as the handle that wrote it has it, after its commit.
        reopen: Opens it anew.
        rows: How many were written.
        sizes: The bytes of all objects that are there, by name.
        where, advice: The lake, and what to do, for the message.

    Raises:
        StorageError: Something is missing or incomplete.
        InstallError: The installed Deep Lake does not list a lake's files.
        Exception: What opening raises.
    """
    files = _files_of(written)
    wrong = sorted(name for name, size in files.items() if sizes.get(name) != size)
    if not wrong:
        there = reopen()
        found = _files_of(there)
        wrong = sorted(name for name, size in files.items() if found.get(name) != size)
        if len(there) == rows and files and not wrong:
            return
    raise StorageError(
        f"Not all of the {rows} rows have arrived: {len(wrong)} of {len(files)} objects are missing or "
        f"incomplete {wrong[:1]}",
        where=where,
        advice=advice,
    )


def _files_of(lake: Any) -> dict[str, int]:
    """The objects of a lake's columns, with their bytes; no documented part of Deep Lake tells them."""
    try:
        return dict(lake._datafiles)
    except AttributeError:
        raise InstallError(
            "The installed Deep Lake does not tell a lake's files, by which it is verified that all of it "
            "has arrived; nothing was replaced",
            where="deeplake's attribute _datafiles",
            advice="pip install deeplake==4.7.4",
        ) from None


def _refuse(what: str, where: str, advice: str) -> ImportRefusedError:
    return ImportRefusedError(what, where=f"lake {where}", advice=advice)


def refuse_existing(where: str) -> ImportRefusedError:
    """Make the error for a lake that is not to be replaced.

    Args:
        where: Its address.
    """
    return _refuse(
        "There is already a lake at this path",
        where,
        "Choose another path, or replace it with overwrite=True (--overwrite)",
    )


def refuse_other(where: str) -> ImportRefusedError:
    """Make the error for something at the path that is no lake.

    Args:
        where: The path or address.
    """
    return _refuse(
        "There is something at this path that is not a Deep Lake v4 lake; it is never replaced",
        where,
        "Choose another path, or empty this one yourself",
    )


def refuse_foreign(names: Iterable[str], where: str) -> None:
    """Refuse to overwrite a folder of a lake that holds other things: a lake has only folders at its top.

    Args:
        names: What is there, as paths below the lake's folder or address, without the lake's own log.
        where: The lake, for the message.

    Raises:
        ImportRefusedError: One is a file at the top, or belongs to a lake below this one.
    """
    for name in names:
        if "/" not in name or name.split("/")[1] == LOG:
            raise _refuse(
                f"Overwriting would delete something that is not part of the lake ({name})",
                where,
                "Move it elsewhere, or choose another path",
            )


class LocalTarget:
    """A folder: written beside its final place, and renamed or exchanged."""

    creds: dict[str, str] | None = None
    may_be_empty = False

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._path = path
        self._overwrite = overwrite
        self._staging = self._sibling("importing")
        self._dataset: Any = None
        self._size = self._unwritten = 0  # bytes
        self.replaces = path.exists()
        self.name = str(self._path)
        self.leftover = str(self._staging)
        self.notes: list[str] = []

    def can_replace(self) -> bool:
        """Whether what stands here could be replaced in one step; found out by trying."""
        standing = self._path.is_dir() and any(self._path.iterdir())
        return not standing or _can_exchange(self._sibling("trial"))

    def check(self) -> None:
        """Refuse what may not be written over; changes nothing."""
        import deeplake

        path = self._path
        if not path.exists():
            return
        if not path.is_dir():
            raise refuse_other(self.name)
        if not any(path.iterdir()):
            return
        with storage_errors("The path cannot be examined", self.name, None):
            is_lake = deeplake.exists(self.name)
        if not is_lake:
            raise refuse_other(self.name)
        if not self._overwrite:
            raise refuse_existing(self.name)
        entries = [entry for entry in path.iterdir() if entry.name != LOG]
        refuse_foreign((e.name for e in entries if not e.is_dir() or e.is_symlink()), self.name)
        refuse_foreign((f"{e.name}/{LOG}" for e in entries if (e / LOG).exists()), self.name)

    def begin(self, schema: Mapping[str, Any], describe: Callable[[Any], None]) -> Any:
        """Make the staging folder, with an empty lake. See `BranchTarget.begin`."""
        import deeplake

        self._tidy()
        self.check()
        with storage_errors("The staging folder cannot be made", self.name, None):
            self._staging.mkdir(parents=True)
        active.add(str(self._staging))
        self._dataset = deeplake.create(str(self._staging), schema=dict(schema))
        self._dataset.auto_commit_enabled = False  # a timed commit would show half a lake
        describe(self._dataset)
        return self._dataset

    def appended(self, size: int) -> None:
        """To be called after each batch of rows; waits for the disk now and then.

        Deep Lake takes rows faster than disks and busy cores write them, and keeps the rest in memory. What
        is given to it last is written when nearly all before it is.

        Args:
            size: The batch's size in bytes.

        Raises:
            StorageError: The disk is too slow.
        """
        self._size += size
        self._unwritten += size
        writer = getattr(self._dataset, "_writer", None)
        if self._unwritten >= _IN_MEMORY and writer is not None:
            upload(lambda: writer.set_async(_LAST, b""), f"lake {self.name}", self._unwritten)
            self._unwritten = 0

    def publish(self, dataset: Any, message: str, rows: int, metadata: Mapping[str, Any]) -> None:
        """Commit, and move the staging folder to the lake's path. See `BranchTarget.publish`."""
        with storage_errors("The lake cannot be committed", self.name, None):
            dataset.metadata[METADATA] = dict(metadata)
            self._dataset = None
            (self._staging / _LAST).unlink(missing_ok=True)
            upload(lambda: Background(lambda: dataset.commit(message)), f"lake {self.name}", self._size)
            self._verify(dataset, rows)
        self.check()
        with storage_errors("The complete lake cannot be moved to its path", self.name, None):
            replaces = self._path.exists() and any(self._path.iterdir())
            if replaces:
                exchange(self._staging, self._path)
            else:
                self._staging.rename(self._path)
        if replaces:
            self.discard()  # the old lake lies there now

    def _verify(self, written: Any, rows: int) -> None:
        """Check that all has been written: Deep Lake does not report a full disk, but leaves files short."""
        import deeplake

        free = shutil.disk_usage(self._staging).free
        files = (file for file in self._staging.rglob("*") if file.is_file())
        sizes = {file.relative_to(self._staging).as_posix(): file.stat().st_size for file in files}
        check_complete(
            written,
            lambda: deeplake.open_read_only(str(self._staging)),
            rows,
            sizes,
            f"lake {self.name}",
            f"make room and import again: {free / 2**20:,.0f} MiB are free on that disk",
        )

    def discard(self, quick: bool = False) -> None:
        """Remove the staging folder. See `BranchTarget.discard`; ``quick`` is not used."""
        self._dataset = None
        if str(self._staging) in active:
            shutil.rmtree(self._staging, ignore_errors=not self._staging.exists())
            active.discard(str(self._staging))

    def _sibling(self, state: str) -> Path:
        return self._path.with_name(f".{self._path.name}.{state}-{os.getpid()}-{host_name()}")

    def _tidy(self) -> None:
        """Remove what imports to this path left behind when they were killed on this host."""
        if not self._path.parent.is_dir():
            return
        prefix, host = f".{self._path.name}.", self._staging.name.rpartition("-")[2]
        pattern = re.compile(rf"{re.escape(prefix)}(importing|replaced|trial)-(\d+)-{re.escape(host)}")
        for folder in sorted(self._path.parent.iterdir()):
            match = pattern.fullmatch(folder.name)
            if not match or str(folder) in active or is_alive(int(match[2])):
                continue
            with storage_errors("What an interrupted import left cannot be removed", str(folder), None):
                # Earlier versions moved the old lake aside before the new one took its place.
                if match[1] == "replaced" and not self._path.exists():
                    folder.rename(self._path)
                    self.notes.append(f"Put back the lake that an interrupted import had moved to {folder}")
                else:
                    shutil.rmtree(folder)
                    self.notes.append(f"Removed what an interrupted import had left: {folder}")


def host_name() -> str:
    """This host's name, as used in the names of folders and branches that an import is writing."""
    return re.sub(r"[^\w.]", "_", socket.gethostname())


def is_alive(pid: int) -> bool:
    """Whether another process of this host lives; False for this one, which keeps its own in `active`.

    Args:
        pid: Id of the process.
    """
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def exchange(first: Path, second: Path) -> None:
    """Let two folders change places in one step: at every moment there is one under each name.

    Args:
        first, second: The folders, on one file system.

    Raises:
        OSError: The file system cannot, or one of them is not there.
    """
    renameat2 = getattr(_libc(), "renameat2", None)
    if renameat2 is None:
        raise OSError("the C library has no renameat2")
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))


def _can_exchange(trial: Path) -> bool:
    """Whether folders can be exchanged at a place; tried out with two empty ones in a new folder."""
    first, second = trial / "a", trial / "b"
    try:
        first.mkdir(parents=True)
        second.mkdir()
        exchange(first, second)
    except OSError:
        return False
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    return True


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
