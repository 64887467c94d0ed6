"""A lake at an address, where nothing can be renamed: the new lake is a branch that becomes ``main``.

The new lake is written into a branch of its own that begins with nothing, and verified. Then one object is
written to Deep Lake's log that gives the old ``main`` another name and the branch the name ``main``: at every
moment readers see the old lake or the new one. The old one stays as the branch ``replaced-<time>`` until the
next overwrite, so that whoever has it open reads on.

What a killed import leaves is a branch ``importing-<host>-<process>-<mark>``. The next import removes it with
its objects: those in the folders of its columns, whose names are the columns' ids in the log to the base 36.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake.calls import lifecycle
from deeplake_mmdet.lake.calls.faults import Background, deadline_seconds, persist, wait
from deeplake_mmdet.lake.direct.branch_log import (
    EMPTY,
    LOG,
    NEXT,
    column_folders,
    number_of,
    record_name,
    renaming,
)
from deeplake_mmdet.lake.direct.object_reader import object_reader
from deeplake_mmdet.lake.source.credentials import check_storage_options
from deeplake_mmdet.lake.source.source import check_address
from deeplake_mmdet.lake.writing.targets import (
    METADATA,
    LocalTarget,
    active,
    check_complete,
    host_name,
    is_alive,
    refuse_existing,
    refuse_foreign,
    refuse_other,
    storage_errors,
    upload,
)

__all__ = ["SIGNS", "BranchTarget", "open_target"]

SIGNS = "_importing"  # folder of the signs of life
_BRANCH = re.compile(r"importing-(.+)-(\d+)-[0-9a-f]{8}")
_REPLACED = re.compile(r"replaced-\d{8}T\d{12}")
_BEAT = 2**25  # bytes of rows between signs of life
_UNDER_WAY = 2**27  # bytes of rows that may be on their way when the storage has answered one
_SILENT = 3600.0  # seconds without one after which an import on another host is taken for dead
_MOST_PENDING = 2**30  # bytes in memory: Deep Lake takes rows faster than a slow network
_LOCKED, _LOCK_PAUSE = "lock contended", 1.0
_LOCK_WAIT = 6.0  # seconds after which Deep Lake surely raises that
_CLEANUP = 1.5  # seconds for cleaning up after Ctrl-C


def open_target(path: str, overwrite: bool, creds: Mapping[str, str] | None) -> LocalTarget | BranchTarget:
    """The target for a path or URL; nothing is changed yet.

    Args:
        path, overwrite: Folder or address of the new lake, and whether a lake there is to be replaced.
        creds: Keys of the storage, by Deep Lake's names; None for the environment's. Not used for folders.

    Raises:
        CredentialError: The address, or ``endpoint_url``, holds a user name or a secret.
        ConfigError: A value of ``creds`` is no text.
    """
    path = os.fspath(path).removeprefix("file://")
    if "://" in path:
        check_address(path, "argument lake")
        check_storage_options(creds or {})
        return BranchTarget(path.rstrip("/"), overwrite, creds)
    folder = Path(path).expanduser().resolve()  # a link keeps pointing at the new lake
    target = LocalTarget(folder, overwrite)
    return BranchTarget(str(folder), overwrite, None) if overwrite and not target.can_replace() else target


class BranchTarget:
    """An address: written into a branch, which takes the place of ``main`` when it is complete."""

    may_be_empty = False  # whether there may be no rows

    def __init__(self, url: str, overwrite: bool, creds: Mapping[str, str] | None) -> None:
        self.name = url
        self.creds = dict(creds) if creds else None
        self.notes: list[str] = []
        self._overwrite = overwrite
        self._branch = f"importing-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.leftover = f"branch {self._branch} of {self.name}"
        self._lake: Any = None  # open for writing: the branch, at first main
        self._created = False  # the lake at the address
        self.replaces = False
        self._switching = False
        self._pending = 0  # bytes that are not committed
        self._unanswered = 0  # bytes that may be on their way
        self._silent = 0  # bytes since the last sign of life
        self._end: float | None = None  # of cleaning up

    def check(self) -> None:
        """Refuse what may not be written over; changes nothing."""
        self._look()

    def _look(self) -> tuple[dict[str, Any], Any]:
        """All objects by name, and the lake, or None if there is none."""
        with storage_errors("The path cannot be examined", self.name, self.creds):
            found = self._list()
            if not found:
                return found, None
            try:
                head = self._open()
            except Exception as error:
                if type(error).__name__ != "LogNotexistsError":
                    raise
                if all(name.startswith((f"{LOG}/", f"{SIGNS}/")) for name in found):
                    return found, None  # what is left of a lake that was being removed
                raise refuse_other(self.name) from None
            if not self._overwrite and not _is_unfinished(head):
                raise refuse_existing(self.name)
            refuse_foreign((name for name in found if not name.startswith(f"{LOG}/")), self.name)
        return found, head

    def begin(self, schema: Mapping[str, Any], describe: Callable[[Any], None]) -> Any:
        """Make the branch that takes the rows; the lake itself, too, if there is none.

        Args:
            schema: Deep Lake's types by column name.
            describe: Writes beside a dataset's columns what they mean.

        Returns:
            Deep Lake's dataset to append to, with columns and no rows.

        Raises:
            ImportRefusedError: There is a lake and ``overwrite`` is not set, or there is something else.
            StorageError, CredentialError: The storage failed or refused access.
        """
        import deeplake

        found, head = self._look()
        active.add(self._branch)
        if head is None:
            if found:
                self._delete("")
            self._created = True
            head = self._lake = self._run(lambda: deeplake.create(self.name, creds=self.creds))
        else:
            self._lake = head
            self.replaces = not _is_unfinished(head)
            self._remove_leftovers(head, found)
        self._beat()  # where nothing may be written this is told at once, which Deep Lake's branch() does not
        branch = self._run(lambda: head.branch(self._branch, EMPTY))
        lake = self._run(branch.open)
        if list(lake.schema.columns):
            raise StorageError("Deep Lake gave a branch that is not empty", where=self._where)
        lake.auto_commit_enabled = False
        for name, kind in schema.items():
            lake.add_column(name, kind)
        self._lake = lake
        self._commit("Created columns")
        describe(lake)
        return lake

    def appended(self, size: int) -> None:
        """To be called after each batch of rows; commits now and then, and notices that a storage is silent.

        Args:
            size: The batch's size in bytes.

        Raises:
            StorageError: The storage does not answer.
        """
        self._pending += size
        self._unanswered += size
        self._silent += size
        if self._pending >= _MOST_PENDING:
            self._commit("Part of an import")
        elif self._silent >= _BEAT:
            self._beat()

    def publish(self, dataset: Any, message: str, rows: int, metadata: Mapping[str, Any]) -> None:
        """Commit, verify, and make the branch the lake's ``main``.

        Args:
            dataset: Not used: `begin` has remembered it.
            message: The commit's message.
            rows: How many rows there must be.
            metadata: Entries of the lake's metadata under ``deeplake_mmdet``.

        Raises:
            ImportRefusedError: Meanwhile another lake stands there, and ``overwrite`` is not set.
            StorageError, CredentialError: The storage failed, refused access, or lacks rows or objects.
        """
        with storage_errors("The lake cannot be committed", self.name, self.creds):
            self._commit(message)
        with storage_errors("The new lake cannot take its place", self.name, self.creds):
            head = self._open()
            unfinished = _is_unfinished(head)
            if not self._overwrite and not unfinished:
                raise refuse_existing(self.name)
            self._verify(head, rows)
            old = "" if unfinished else f"replaced-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}"
            self._switch(head, old, metadata)
        self._after(old)

    def _commit(self, message: str) -> None:
        commit = self._lake.commit
        upload(lambda: Background(lambda: commit(message)), self._where, self._unanswered)
        self._pending = self._unanswered = 0

    def _verify(self, head: Any, rows: int) -> None:
        """Check that every row and every object has arrived."""
        sizes = {name: meta.size for name, meta in self._list().items()}
        branch = head.branches[self._branch]
        check_complete(self._lake, lambda: self._run(branch.open), rows, sizes, self._where, "Import again")

    def _switch(self, head: Any, old_name: str, metadata: Mapping[str, Any]) -> None:
        """Exchange the branches by one object, in the way that Deep Lake writes its log."""
        old, new = head.branches["main"].id, head.branches[self._branch].id
        name, told = old_name or f"{self._branch}-empty", {METADATA: dict(metadata)}
        record = renaming(old, name, new, delete_old=not old_name, metadata=told)
        number = self._next_number()
        self._set(NEXT, (number + 1).to_bytes(8, "little"))
        self._switching = True
        self._set(record_name(number), record)
        now = self._open()  # its branches end with it
        if now.branches["main"].id != new:
            raise StorageError(
                "Another import to this path ended at the same time", where=self._where, advice="Import again"
            )
        self._switching = False

    def _next_number(self) -> int:
        try:
            return number_of(bytes(self._ask(lambda: self._storage().get_async(NEXT))))
        except KeyError:  # the creation of the lake was interrupted before that
            return number_of(b"")

    def _after(self, old: str) -> None:
        """Remove the signs of life, and lakes that were replaced before; a failure is only noted."""
        active.discard(self._branch)
        self._lake = None
        try:
            self._delete(f"{SIGNS}/{self._branch}")
            if not old:
                return
            head = self._open()
            names = list(head.branches.names())
            replaced = sorted(name for name in names if _REPLACED.fullmatch(name))
            self.notes.append(
                f"The lake that was here stays as its branch {replaced[-1]} until the next overwrite"
            )
            others = [name for name in names if not (_REPLACED.fullmatch(name) or _BRANCH.fullmatch(name))]
            if len(replaced) > 1 and others == ["main"] and not list(head.tags.names()):
                found = self._list()
                for name in replaced[:-1]:
                    self._remove(head.branches[name], found)
        except Exception as error:
            self.notes.append(f"Not everything that was replaced could be removed ({type(error).__name__})")

    def discard(self, quick: bool = False) -> None:
        """Remove what was begun; nothing, once it is published.

        Args:
            quick: Stop after about 1.5 seconds, as after Ctrl-C; the next import removes the rest.

        Raises:
            StorageError: It cannot be removed, or it is not known whether it has been published.
        """
        if self._branch not in active:
            return
        self._lake = None
        # What was given up may still be done, as long as this process lives: its branch stays in `active`.
        if self._switching:
            self.replaces = False
            raise StorageError(
                "The storage did not confirm the last object, so that the path holds the old lake or the new",
                where=self._where,
            )
        if lifecycle.abandoned():
            raise StorageError("The storage does not answer", where=self._where)
        active.discard(self._branch)
        self._end = time.monotonic() + _CLEANUP if quick else None
        with storage_errors("Deep Lake's delete failed", self.leftover, self.creds):
            found, head = self._list(), self._open()
            if self._branch in head.branches.names():
                self._remove(head.branches[self._branch], found)
            if self._created and _is_unfinished(head) and len(list(head.branches.names())) == 1:
                self._delete("")

    def _remove_leftovers(self, head: Any, found: Mapping[str, Any]) -> None:
        names = list(head.branches.names())
        signs = {name.split("/")[1] for name in found if name.startswith(f"{SIGNS}/")}
        for name in signs.difference(names):  # killed when its lake was in place
            self._delete(f"{SIGNS}/{name}")
        for name in names:
            match = _BRANCH.fullmatch(name)
            if not match or name in active:
                continue
            if match[1] == host_name():
                alive = is_alive(int(match[2]))
            else:
                sign = found.get(f"{SIGNS}/{name}/alive")
                alive = sign is not None and _age(sign.last_modified) < _SILENT
            if alive:
                self.notes.append(f"Another import to this path seems to be under way: branch {name}")
                continue
            with storage_errors("What an interrupted import left cannot be removed", self.name, self.creds):
                self._remove(head.branches[name], found)
            self.notes.append(f"Removed what an interrupted import had left: branch {name}")

    def _remove(self, branch: Any, found: Mapping[str, Any]) -> None:
        """Remove a branch with its columns' objects; the branch last, so that the next import can go on."""
        log, name = f"{LOG}/{branch.id}", branch.name
        folders = {found_name.partition("/")[0] for found_name in found}
        for record in [each for each in found if each.startswith(f"{log}/") and ".jsonl" in each]:
            text = bytes(self._ask(functools.partial(self._storage().get_async, record)))
            for folder in column_folders(text, packed=record.endswith(".lz4")):
                if folder in folders:
                    self._delete(folder)
        self._run(branch.delete)
        self._delete(log)
        self._delete(f"{SIGNS}/{name}")

    @property
    def _where(self) -> str:
        return f"lake {self.name}"

    def _open(self) -> Any:
        import deeplake

        return self._ask(lambda: Background(lambda: deeplake.open(self.name, creds=self.creds)))

    def _list(self, folder: str = "") -> dict[str, Any]:
        # An iterator that is left early aborts the process: exhaust it.
        def call() -> dict[str, Any]:
            return {meta.path: meta for page in self._storage().list_iter() for meta in page}

        found: dict[str, Any] = self._ask(lambda: Background(call))
        return {name: meta for name, meta in found.items() if name.startswith(folder)}

    def _storage(self) -> Any:
        return object_reader(self.name, creds=self.creds)

    def _set(self, name: str, content: bytes) -> None:
        self._ask(lambda: self._lake._writer.set_async(name, content))

    def _delete(self, folder: str) -> None:
        """Delete all below a folder. Deep Lake's other ways to delete hold the GIL while they wait."""
        import deeplake

        url = f"{self.name}/{folder}".rstrip("/")
        self._ask(lambda: Background(lambda: deeplake.delete(url, creds=self.creds)))

    def _beat(self) -> None:
        """Write a sign of life; it waits behind what is under way, and so keeps memory bounded as well."""
        name = f"{SIGNS}/{self._branch}/alive"
        upload(lambda: self._lake._writer.set_async(name, b""), self._where, self._unanswered)
        self._silent, self._unanswered = 0, min(self._unanswered, _UNDER_WAY)

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Run a call that may be repeated."""
        return persist(call, self._where) if self._end is None else wait(call, self._end, self._where)

    def _run(self, call: Callable[[], Any]) -> Any:
        """Run a call once; again only if refused for the lock, which lapses if its holder was killed."""
        end = time.monotonic() + deadline_seconds() if self._end is None else self._end
        while True:
            try:
                return wait(lambda: Background(call), end, self._where)
            except RuntimeError as error:
                if _LOCKED not in str(error):
                    raise
            if time.monotonic() + _LOCK_PAUSE + _LOCK_WAIT > end:
                raise StorageError(
                    "Another program has locked this lake",
                    where=self._where,
                    advice="wait until it has ended; a killed program's lock lapses after half a minute",
                )
            time.sleep(_LOCK_PAUSE)


def _is_unfinished(head: Any) -> bool:
    """Whether a lake is the empty one that an import makes first: no columns, beside imports' branches."""
    names = list(head.branches.names())
    return not list(head.schema.columns) and all(name == "main" or _BRANCH.fullmatch(name) for name in names)


def _age(modified: datetime) -> float:
    modified = modified if modified.tzinfo else modified.replace(tzinfo=timezone.utc)
    return (datetime.now(timezone.utc) - modified).total_seconds()
