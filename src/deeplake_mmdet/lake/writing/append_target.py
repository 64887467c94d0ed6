"""Rows for a lake that stands: written into a branch of it, verified, and merged into ``main`` in one commit.

At every moment readers see the lake as it was or with all new rows. What a killed import leaves is a branch
``appending-<host>-<process>-<mark>``, which the next one removes, and files of rows that nothing refers to.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImportRefusedError, StorageError
from deeplake_mmdet.lake.calls import lifecycle
from deeplake_mmdet.lake.calls.faults import Background
from deeplake_mmdet.lake.images.exif_choice import EXIF_COLUMN
from deeplake_mmdet.lake.schema.class_names import read_class_names
from deeplake_mmdet.lake.schema.columns import ColumnFacts, describe_columns
from deeplake_mmdet.lake.schema.roles import STORED_PIXELS, TURNED_PIXELS
from deeplake_mmdet.lake.writing.branches import SIGNS, BranchTarget
from deeplake_mmdet.lake.writing.rows import OPTIONAL_COLUMNS, SIGNATURES
from deeplake_mmdet.lake.writing.targets import active, host_name, is_alive, storage_errors

__all__ = ["AppendTarget", "StandingLake"]

_BRANCH = re.compile(r"(?:appending|sharding|merging)-(.+)-(\d+)-[0-9a-f]{8}")
_NEEDED = ("images", "boxes", "labels", "width", "height", EXIF_COLUMN, "file_name")
_BLOCK = 50_000  # rows read at once
_ADVICE = "Only lakes that 'import' made can be appended to; import into a new lake instead"


@dataclass(frozen=True)
class StandingLake:
    """What rows of a lake look like.

    Attributes:
        rows: How many there are.
        class_names: Names by label.
        box_format: ``'ltwh'`` or ``'ltrb'``, in pixels.
        image_format: ``'jpeg'`` or ``'png'``.
        columns: Which of `OPTIONAL_COLUMNS` it has.
        measured: Whether its widths and heights are those of the images themselves.
    """

    rows: int
    class_names: tuple[str, ...]
    box_format: str
    image_format: str
    columns: frozenset[str]
    measured: bool


class AppendTarget(BranchTarget):
    """A lake at a path or an address that gets more rows.

    Args:
        path: Folder or address of the lake.
        creds: Keys of the storage, by Deep Lake's names; None for the environment's.

    Attributes:
        rows: How many the lake has, once `publish` has ended.
    """

    _state = "appending"  # begins the branch's name

    def __init__(self, path: str, creds: Mapping[str, str] | None) -> None:
        path = os.fspath(path).removeprefix("file://")
        is_address = "://" in path
        name = path.rstrip("/") if is_address else str(Path(path).expanduser().resolve())
        super().__init__(name, False, creds if is_address else None)
        self._branch = f"{self._state}-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.leftover = f"branch {self._branch} of {self.name}"
        self.replaces = True  # for errors: the lake is as it was
        self.rows = 0
        self._standing = 0
        self._head: Any = None

    def examine(self) -> StandingLake:
        """What the lake's rows look like; nothing is changed.

        Raises:
            ImportRefusedError: There is no lake, or it is not one that rows of an import fit.
            StorageError, CredentialError: The storage failed or refused access.
        """
        with storage_errors("The lake cannot be examined", self.name, self.creds):
            try:
                head = self._head = self._open()
            except Exception as error:
                if type(error).__name__ != "LogNotexistsError":
                    raise
                raise ImportRefusedError(
                    "There is no lake of format v4 to append to",
                    where=self._where,
                    advice="Leave out append (--append)",
                ) from None
            columns = self._ask(lambda: Background(lambda: describe_columns(head)))
        self._standing = len(head)
        missing = [name for name in _NEEDED if name not in columns]
        surplus = [name for name in columns if name not in _NEEDED and name not in OPTIONAL_COLUMNS]
        if missing or surplus:
            what = f"it has no column {', '.join(missing)}" if missing else ""
            what = what or f"nothing tells what to put into its columns {', '.join(surplus)}"
            raise self._unfit(what)
        return StandingLake(
            self._standing,
            self._class_names(columns["labels"]),
            self._box_format(columns["boxes"]),
            self._image_format(columns["images"]),
            frozenset(name for name in columns if name in OPTIONAL_COLUMNS),
            columns["width"].metadata.get("format") in (STORED_PIXELS, TURNED_PIXELS),
        )

    def values(self, column: str) -> Iterator[Any]:
        """All cells of a column, many rows at a time.

        Args:
            column: Its name; images are not read in this way.

        Yields:
            The cells of neighbouring rows, in order.
        """
        cells = self._head[column]
        for start in range(0, self._standing, _BLOCK):
            stop = min(start + _BLOCK, self._standing)
            with storage_errors("The lake cannot be read", self.name, self.creds):
                yield self._ask(
                    lambda start=start, stop=stop: Background(lambda: list(cells[start:stop]))  # type: ignore[misc]
                )

    def numbers(self, column: str) -> NDArray[np.int64]:
        """All numbers of a column of ids, sorted.

        Args:
            column: Its name; cells are numbers, or arrays of them.
        """
        blocks = [
            np.concatenate([np.asarray(cell, np.int64).reshape(-1) for cell in block] or [_NONE])
            for block in self.values(column)
        ]
        return np.sort(np.concatenate(blocks or [_NONE]))

    def image(self, row: int) -> bytes:
        """The image of a row, as it is stored.

        Args:
            row: Its number.
        """
        images = self._head["images"]
        with storage_errors("The lake cannot be read", self.name, self.creds):
            return bytes(self._ask(lambda: Background(lambda: images.get_bytes(row))))

    def file_name(self, row: int) -> str:
        """The file name of a row.

        Args:
            row: Its number.
        """
        names = self._head["file_name"]
        with storage_errors("The lake cannot be read", self.name, self.creds):
            return str(self._ask(lambda: Background(lambda: names[row])))

    def begin(self, schema: Mapping[str, Any], describe: Callable[[Any], None]) -> Any:
        """Make the branch that takes the rows. See `BranchTarget.begin`.

        Args:
            schema, describe: Not used: the lake has its columns.
        """
        head = self._lake = self._head
        self._remove_dead(head)
        active.add(self._branch)
        with self._telling_room():
            self._beat()
        branch = self._run(lambda: head.branch(self._branch, head.version))
        lake = self._run(branch.open)
        lake.auto_commit_enabled = False
        self._lake = lake
        return lake

    def appended(self, size: int) -> None:
        """To be called after each batch of rows. See `BranchTarget.appended`.

        Args:
            size: The batch's size in bytes.
        """
        with self._telling_room():
            super().appended(size)

    def publish(self, dataset: Any, message: str, rows: int, metadata: Mapping[str, Any]) -> None:
        """Commit, verify, and merge the branch into ``main``. See `BranchTarget.publish`.

        Args:
            dataset, metadata: Not used.
            message: The commit's message.
            rows: How many were added.
        """
        with storage_errors("The rows cannot be committed", self.name, self.creds), self._telling_room():
            self._commit(message)
            head = self._head = self._open()
            self._verify(head, self._standing + rows)
        with storage_errors("The rows cannot be added to the lake", self.name, self.creds):
            self._switching = True
            self._run(lambda: head.merge(self._branch, None, message))
            self._switching = False
        self.replaces = False
        self.rows = len(head)
        self._end_branch()

    @contextlib.contextmanager
    def _telling_room(self) -> Iterator[None]:
        """Tell how full the disk is where a folder takes no more: Deep Lake does not report it."""
        try:
            yield
        except StorageError as error:
            if "://" not in self.name:
                free = shutil.disk_usage(self.name).free
                error.advice = f"make room and import again: {free / 2**20:,.1f} MiB are free on that disk"
            raise

    def _end_branch(self) -> None:
        """Remove the branch, whose rows are those of ``main`` now; a failure is only noted."""
        active.discard(self._branch)
        self._lake, head = None, self._head
        try:
            self._run(head.branches[self._branch].delete)
            self._delete(f"{SIGNS}/{self._branch}")
        except Exception as error:
            self.notes.append(f"The rows are added; {self.leftover} remains ({type(error).__name__})")

    def discard(self, quick: bool = False) -> None:
        """Remove the branch. See `BranchTarget.discard`; ``quick`` is not used."""
        if self._branch not in active:
            return
        self._lake = None
        if self._switching:
            self.replaces = False
            raise StorageError(
                "The storage did not confirm the last commit, so that the lake has all new rows or none",
                where=self._where,
            )
        if lifecycle.abandoned():
            raise StorageError("The storage does not answer", where=self._where)
        active.discard(self._branch)
        with storage_errors("The branch of new rows cannot be removed", self.leftover, self.creds):
            head = self._open()
            if self._branch in head.branches.names():
                self._run(head.branches[self._branch].delete)
            self._delete(f"{SIGNS}/{self._branch}")

    def _remove_dead(self, head: Any) -> None:
        """Remove branches that imports of this host left when they were killed."""
        for name in list(head.branches.names()):
            match = _BRANCH.fullmatch(name)
            if match is None or name in active:
                continue
            if match[1] != host_name() or is_alive(int(match[2])):
                if self._state != "sharding":
                    self.notes.append(f"Another import seems to write to this lake: branch {name}")
                continue
            with storage_errors("What an interrupted import left cannot be removed", self.name, self.creds):
                self._run(head.branches[name].delete)
                self._delete(f"{SIGNS}/{name}")
            self.notes.append(f"Removed what an interrupted import had left: branch {name}")

    def _class_names(self, labels: ColumnFacts) -> tuple[str, ...]:
        stated = labels.metadata.get("class_names")
        if stated is None:
            raise self._unfit("its labels have no class names")
        names = read_class_names(stated, f"{self._where}, class_names", error=ImportRefusedError)
        if names.numbers is not None:
            raise self._unfit("its class names leave labels out")
        return names.names

    def _box_format(self, boxes: ColumnFacts) -> str:
        stated = boxes.box_format
        if stated is None or stated.unit != "pixel" or stated.mode not in ("ltwh", "ltrb"):
            raise self._unfit(f"its boxes are {stated or 'of no declared format'}")
        return stated.mode

    def _image_format(self, images: ColumnFacts) -> str:
        if images.kind != "image" or images.is_link or images.sample_compression not in SIGNATURES:
            raise self._unfit(f"its images are {images.description}")
        return str(images.sample_compression)

    def _unfit(self, what: str) -> ImportRefusedError:
        return ImportRefusedError(
            f"Rows cannot be added to this lake: {what}", where=self._where, advice=_ADVICE
        )


_NONE = np.zeros(0, np.int64)
