"""Where a new lake is written: it appears at its final place only when it is complete."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, ImportRefusedError, StorageError
from deeplake_mmdet.lake.credentials import check_storage_options
from deeplake_mmdet.lake.source import check_address
from deeplake_mmdet.lake.storage_errors import cause_of

__all__ = ["LocalTarget", "RemoteTarget", "open_target", "storage_errors"]

# Staging folders that this very process writes to; any other one with its id is of a dead namesake.
_active: set[str] = set()


def open_target(path: str, overwrite: bool, creds: Mapping[str, str] | None) -> LocalTarget | RemoteTarget:
    """The target for a path or URL; nothing is touched yet.

    Raises:
        CredentialError: The address holds a user name or a secret.
    """
    path = os.fspath(path).removeprefix("file://")
    if "://" in path:
        check_address(path, "argument lake")
        check_storage_options(creds or {})
        return RemoteTarget(path, overwrite, creds)
    return LocalTarget(path, overwrite)


@contextlib.contextmanager
def storage_errors(what: str, where: str, creds: Mapping[str, str] | None) -> Iterator[None]:
    """Turn Deep Lake's errors into `StorageError`, without the values of ``creds``."""
    try:
        yield
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


def _refuse(what: str, where: str, advice: str) -> ImportRefusedError:
    return ImportRefusedError(what, where=f"lake {where}", advice=advice)


def _refuse_existing(where: str) -> ImportRefusedError:
    return _refuse(
        "There is already a lake at this path, perhaps one that an interrupted import left",
        where,
        "Choose another path, or replace it with overwrite=True (--overwrite)",
    )


def _refuse_other(where: str) -> ImportRefusedError:
    return _refuse(
        "There is something at this path that is not a Deep Lake v4 lake; it is never replaced",
        where,
        "Choose another path, or empty this one yourself",
    )


def _refuse_foreign(names: Iterable[str], where: str) -> None:
    """A lake's own top level has folders only; anything else there belongs to someone else."""
    for name in names:
        if "/" not in name or name.split("/")[1] == "_deeplake_log":
            raise _refuse(
                f"Overwriting would delete something that is not part of the lake ({name})",
                where,
                "Move it elsewhere, or choose another path",
            )


class LocalTarget:
    """A folder: written beside its final place and renamed."""

    creds: dict[str, str] | None = None

    def __init__(self, path: str, overwrite: bool) -> None:
        self._path = Path(path).expanduser().resolve()  # a link keeps pointing at the new lake
        self._overwrite = overwrite
        self._staging = self._sibling("importing")
        self.name = str(self._path)
        self.leftover = str(self._staging)
        self.notes: list[str] = []

    def check(self) -> None:
        """Refuse what may not be written over; changes nothing."""
        import deeplake

        path = self._path
        if not path.exists():
            return
        if not path.is_dir():
            raise _refuse_other(self.name)
        if not any(path.iterdir()):
            return
        with storage_errors("The path cannot be examined", self.name, None):
            is_lake = deeplake.exists(self.name)
        if not is_lake:
            raise _refuse_other(self.name)
        if not self._overwrite:
            raise _refuse_existing(self.name)
        entries = [entry for entry in path.iterdir() if entry.name != "_deeplake_log"]
        _refuse_foreign((e.name for e in entries if not e.is_dir() or e.is_symlink()), self.name)
        _refuse_foreign(
            (f"{e.name}/_deeplake_log" for e in entries if (e / "_deeplake_log").exists()), self.name
        )

    def prepare(self) -> str:
        """Make ready, and name the address to write to."""
        self._tidy()
        self.check()
        with storage_errors("The staging folder cannot be made", self.name, None):
            self._staging.mkdir(parents=True)
        _active.add(str(self._staging))
        return str(self._staging)

    def publish(self) -> None:
        """Put the complete lake at its final place."""
        self.check()
        with storage_errors("The complete lake cannot be moved to its path", self.name, None):
            if not self._path.exists() or not any(self._path.iterdir()):
                self._rename_staging()
                return
            aside = self._sibling("replaced")
            self._path.rename(aside)
            try:
                self._rename_staging()
            except BaseException:
                aside.rename(self._path)
                raise
            shutil.rmtree(aside)

    def _rename_staging(self) -> None:
        self._staging.rename(self._path)
        _active.discard(str(self._staging))

    def discard(self) -> None:
        """Remove what was begun."""
        if str(self._staging) in _active:
            shutil.rmtree(self._staging)
            _active.discard(str(self._staging))

    def _sibling(self, state: str) -> Path:
        host = re.sub(r"[^\w.]", "_", socket.gethostname())
        return self._path.with_name(f".{self._path.name}.{state}-{os.getpid()}-{host}")

    def _tidy(self) -> None:
        """Remove what imports to this path left behind when they were killed on this host."""
        if not self._path.parent.is_dir():
            return
        prefix, host = f".{self._path.name}.", self._staging.name.rpartition("-")[2]
        pattern = re.compile(rf"{re.escape(prefix)}(importing|replaced)-(\d+)-{re.escape(host)}")
        for folder in sorted(self._path.parent.iterdir()):
            match = pattern.fullmatch(folder.name)
            if not match or str(folder) in _active or _is_alive(int(match[2])):
                continue
            with storage_errors("What an interrupted import left cannot be removed", str(folder), None):
                if match[1] == "replaced" and not self._path.exists():
                    folder.rename(self._path)
                    self.notes.append(f"Put back the lake that an interrupted import had moved to {folder}")
                else:
                    shutil.rmtree(folder)
                    self.notes.append(f"Removed what an interrupted import had left: {folder}")


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # this process keeps its own in _active
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class RemoteTarget:
    """A URL: written in place if nothing is there, else beside it and copied when complete."""

    def __init__(self, url: str, overwrite: bool, creds: Mapping[str, str] | None) -> None:
        self.name = url.rstrip("/")
        self.creds = dict(creds) if creds else None
        self.leftover = self.name
        self.notes: list[str] = []
        self._overwrite = overwrite
        self._staging: str | None = None
        self._removable = False

    def check(self) -> None:
        """Refuse what may not be written over; changes nothing."""
        self._is_empty()

    def _is_empty(self) -> bool:
        import deeplake

        with storage_errors("The path cannot be examined", self.name, self.creds):
            names = self._names(self.name)
            if not names:
                return True
            if not deeplake.exists(self.name, creds=self.creds):
                raise _refuse_other(self.name)
            if not self._overwrite:
                raise _refuse_existing(self.name)
            _refuse_foreign(names, self.name)
        return False

    def prepare(self) -> str:
        """Make ready, and name the address to write to."""
        if not self._is_empty():
            self._staging = f"{self.name}.importing-{secrets.token_hex(6)}"
            self.leftover = self._staging
        # deeplake.delete() removes everything under an address, lake or not: only where nothing was before.
        self._removable = True
        return self._staging or self.name

    def publish(self) -> None:
        """Put the complete lake at its final place."""
        import deeplake

        if self._staging is None:
            return
        self._is_empty()
        self._removable = False  # from here on the staging place may be the only whole lake
        with storage_errors(
            f"The complete lake stays at {self._staging}; it cannot be moved", self.name, self.creds
        ):
            deeplake.delete(self.name, creds=self.creds)
            self._copy(self._staging)
            deeplake.delete(self._staging, creds=self.creds)

    def discard(self) -> None:
        """Remove what was begun."""
        import deeplake

        if self._removable:
            with storage_errors("Deep Lake's delete failed", self.leftover, self.creds):
                deeplake.delete(self.leftover, creds=self.creds)
            self._removable = False

    def _names(self, url: str) -> list[str]:
        # deeplake.storage is announced but bound to something else. list() holds the GIL while it waits, and
        # an iterator that is left early aborts the process: exhaust it.
        from deeplake._deeplake.storage import Reader

        reader = Reader(url, creds=self.creds)
        pages = list(reader.list_iter())
        return [meta.path for page in pages for meta in page]

    def _copy(self, source: str) -> None:
        """Copy object by object; the one by which a lake is recognised comes last."""
        from deeplake._deeplake.storage import Reader, Writer

        reader: Any = Reader(source, creds=self.creds)
        writer: Any = Writer(self.name, creds=self.creds)
        log = "_deeplake_log/_meta"
        names = sorted(self._names(source), key=lambda name: (name.startswith(log), name), reverse=True)
        meta = [name for name in names if name.startswith(log)]
        for name in [*names[len(meta) :], *meta]:
            content = bytes(_wait(reader.get_async(name)))
            _wait(writer.set_async(name, content))


def _wait(future: Any) -> Any:
    """The result of a Deep Lake call; waited for by polling, as waiting in its own code holds the GIL."""
    while not future.is_completed():
        time.sleep(0.001)
    return future.result()
