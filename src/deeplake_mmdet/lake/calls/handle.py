"""Open lakes as the rest of this package reads them: with deadlines, retries and a cure for sticky failures.

After a failed fetch a Deep Lake handle raises the same error again without asking the storage; only a handle
opened anew helps.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake.calls import faults, lifecycle
from deeplake_mmdet.lake.calls.protocols import Future, RawLake
from deeplake_mmdet.lake.calls.storage_errors import damaged, translate

__all__ = ["NO_BYTES", "LakeColumn", "LakeHandle", "Stamp", "close_all", "stamp_of"]

Stamp = tuple[int, int, int] | None
NO_BYTES = "not a bytes array"  # what Deep Lake says of a cell that holds None

_open_handles: weakref.WeakSet[LakeHandle] = weakref.WeakSet()


class LakeHandle:
    """An open lake, or a query's view of one; read-only, of one process, never pickled.

    Behaves like Deep Lake's own handle as far as reading goes: ``len()``, ``handle[column]``, ``query`` and
    the attributes. Reads of remote lakes keep the deadline (`faults.deadline_seconds`) and are retried on a
    handle opened anew. Safe to use from several threads.

    Args:
        open_raw: Opens Deep Lake's own handle; called again after failures and `close`.
        where: The lake, for messages.
        local: Whether reads need no network: they are then neither polled nor retried.
        raw: Deep Lake's handle, if it is open already.
        folder: The lake's folder, if its rows are those of its files in their order.
        witness: A file that is exchanged with the lake, see `witness_of`; for lakes on a disk.
        whole_columns: Whether columns are best read as a whole, as those of a query's view: Deep Lake looks
            up each row of a part by itself.
    """

    def __init__(
        self,
        open_raw: Callable[[], RawLake],
        where: str,
        *,
        local: bool,
        raw: RawLake | None = None,
        folder: Path | None = None,
        witness: Path | None = None,
        whole_columns: bool = False,
    ) -> None:
        self._open_raw = open_raw
        self.where = where
        self.local = local
        self.folder = folder
        self.whole_columns = whole_columns
        self._raw = raw
        self._files: tuple[Any, Any] = (None, None)
        self._opening = threading.Lock()
        self._witness = witness
        self._stamp = None if witness is None else stamp_of(witness)
        self._queried: LakeHandle | None = None
        _open_handles.add(self)
        lifecycle.at_exit(close_all)

    @property
    def raw(self) -> RawLake:
        """Deep Lake's own handle; opened if it is not."""
        raw = self._raw
        if raw is None:
            with self._opening:  # threads that find it closed wait for one to open it
                raw = self._raw
                if raw is None:
                    raw = self._raw = self._open_raw()
        return raw

    def close(self) -> None:
        """Drop Deep Lake's handle with its caches and connections. The next read opens it again."""
        self._raw = None
        self._files = (None, None)

    @property
    def schema(self) -> Any:
        """Names and types of the columns."""
        return self.raw.schema

    @property
    def files(self) -> Any:
        """What Deep Lake tells of the columns' files, which takes it 0.1 s for a million rows."""
        raw: Any = self.raw
        if self._files[0] is not raw:
            self._files = (raw, raw._datafiles_report)
        return self._files[1]

    @property
    def file_sizes(self) -> dict[str, int]:
        """Bytes of the columns' files by name, as far as Deep Lake tells them."""
        return {str(name): int(size) for name, size in getattr(self.raw, "_datafiles", ())}

    def check(self) -> None:
        """Make sure, by one look at a file, that the lake in a folder is still the one that was opened.

        Deep Lake itself would go on with what it has in memory and those files that have the right names, and
        may crash over one that is gone.

        Raises:
            SourceNotFoundError: Another lake stands there now, or none.
        """
        if self._queried is not None:
            self._queried.check()
        if self._witness is None or stamp_of(self._witness) == self._stamp:
            return
        with self._opening:
            stamp = stamp_of(self._witness)
            if stamp != self._stamp:
                if stamp is None:
                    raise SourceNotFoundError(
                        "The lake is no longer at its path",
                        where=self.where,
                        advice="it was moved or removed while in use: put it back, or start again",
                    )
                self._raw = self._open_raw()  # finds out what stands there; a true copy will do
                self._stamp = stamp

    def query(self, tql: str) -> LakeHandle:
        """Run a query and give its view as a handle of its own.

        Args:
            tql: The query in Deep Lake's TQL.

        Raises:
            RuntimeError: The query cannot be run; Deep Lake's own error.
            StorageError, SourceNotFoundError, CredentialError: As `read`.
        """
        raw = self.read(lambda raw: raw.query(tql), lambda raw: raw.query_async(tql))
        found = LakeHandle(lambda: self.raw.query(tql), self.where, local=self.local, raw=raw)
        found._queried = self
        return found

    def read(self, call: Callable[[RawLake], Any], start: Callable[[RawLake], Future[Any]]) -> Any:
        """Run one read, with deadline and retries if the lake is remote.

        Args:
            call: Reads from Deep Lake's handle; for local lakes.
            start: Begins the same read and gives its future; for remote lakes.

        Returns:
            What the read gives.

        Raises:
            StorageError: The storage failed for good, or the deadline passed.
            SourceNotFoundError: The lake was exchanged or removed since it was opened.
            CredentialError: The storage refused access, even with credentials resolved anew.
        """
        if self.local:
            self.check()
            with lifecycle.in_flight():
                try:
                    return call(self.raw)
                except Exception as error:
                    self.check()
                    problem = _translate(error, self.where)
                    if problem is None or problem is error:
                        raise
                    raise problem from None
        used: RawLake | None = None
        denied = 0

        def begin() -> Any:
            nonlocal used
            used = self._raw
            used = self.raw
            return start(used)

        def may_pass(error: BaseException) -> bool:
            nonlocal denied
            denied += faults.is_denied(error)
            # The next try resolves credentials again.
            return faults.is_transient(error) or (faults.is_denied(error) and denied == 1)

        def told(error: Exception) -> Exception:
            problem = _translate(error, self.where)
            if problem is not None and self._raw is used:
                self.close()
            return problem or error

        return faults.persist(begin, self.where, may_pass=may_pass, told=told)

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, column: str) -> LakeColumn:
        return LakeColumn(self, column)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.raw, name)

    def __reduce__(self) -> Any:
        raise TypeError("An open lake cannot be pickled: its pickle would drop the version and hold secrets")

    def __repr__(self) -> str:
        return f"LakeHandle({self.where}, {'closed' if self._raw is None else 'open'})"


class LakeColumn:
    """One column of a `LakeHandle`; unlike Deep Lake's own it keeps its lake open."""

    def __init__(self, handle: LakeHandle, name: str) -> None:
        self._handle = handle
        self.name = name
        handle.raw[name]  # finds out whether there is such a column

    @property
    def metadata(self) -> Any:
        """The column's metadata."""
        return self._handle.raw[self.name].metadata

    def __getitem__(self, index: Any) -> Any:
        name = self.name
        return self._read(lambda raw: raw[name][index], lambda raw: raw[name].get_async(index))

    def get_async(self, index: Any) -> Future[Any]:
        """Begin to read cells; the future has neither deadline nor retries (see `faults.persist`).

        Args:
            index: A row number, a slice or a list of row numbers.

        Returns:
            Deep Lake's own future of what ``column[index]`` gives.
        """
        return self._handle.raw[self.name].get_async(index)

    def get_bytes(self, index: Any) -> Any:
        """Read encoded cells, with deadline and retries.

        Args:
            index: A row number, a slice or a list of row numbers.

        Returns:
            The bytes of one cell for a row number, else a list of them, as Deep Lake gives them.

        Raises:
            StorageError, SourceNotFoundError, CredentialError: As `LakeHandle.read`.
            SourceFormatError: The cells are damaged.
            RuntimeError: A cell was never written (the text holds `NO_BYTES`).
        """
        name = self.name
        return self._read(
            lambda raw: raw[name].get_bytes(index), lambda raw: raw[name].get_bytes_async(index)
        )

    def _read(self, call: Callable[[RawLake], Any], start: Callable[[RawLake], Future[Any]]) -> Any:
        try:
            return self._handle.read(call, start)
        except DeepLakeMMDetError:
            raise
        except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
            if NO_BYTES in str(error):
                raise
            raise damaged(error, f"{self._handle.where}, column {self.name!r}") from None

    def __len__(self) -> int:
        return len(self._handle)


def stamp_of(path: Path | int) -> Stamp:
    """What changes when a file is replaced or written to.

    Args:
        path: A path, or the descriptor of an open file.

    Returns:
        Inode, size in bytes and time of the last change in nanoseconds; None if the file is not there.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - of a descriptor as well
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _translate(error: Exception, where: str) -> DeepLakeMMDetError | None:
    if type(error) is KeyError:
        return faults.missing(where)
    if faults.is_transient(error) and isinstance(error, RuntimeError):
        return StorageError(
            "The storage gave incomplete or damaged data",
            where=where,
            advice="check the network; if it happens at each start, an object of the lake is damaged",
        )
    return translate(error, where)


def close_all() -> None:
    """Close all lakes that this process has open. A later read opens them again."""
    for handle in list(_open_handles):
        handle.close()
