"""Writing of a new lake: all rows in one commit, and no half lake that looks whole.

A local lake is written into a sibling folder and renamed when its commit is done. A remote one cannot be
renamed: until its one commit readers see a lake without rows and without this package's metadata.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import (
    AnnotationError,
    ConfigError,
    DeepLakeMMDetError,
    ImportRefusedError,
    StorageError,
)

__all__ = ["OPTIONAL_COLUMNS", "ImageRecord", "LakeWriter", "check_target"]

# Column -> element type of its one-dimensional array; None for columns of another make.
_ARRAYS: dict[str, str] = {
    "areas": "float64",
    "iscrowds": "uint8",
    "difficults": "uint8",
    "ignores": "uint8",
    "annotation_ids": "int64",
}
OPTIONAL_COLUMNS = (*_ARRAYS, "image_id", "segmentations")
_SIGNATURES = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
_BATCH_ROWS = 256
_BATCH_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One row of a lake.

    Attributes:
        image: The encoded image, stored unchanged.
        width: Width in pixels of the stored image; an EXIF orientation is not applied.
        height: Height, likewise.
        file_name: Name of the image file, not empty.
        boxes: Shape (n, 4), in the lake's own format, pixels, stored as float64.
        labels: Shape (n,), index into the lake's class names.
        image_id: Id of the image in its source, 64-bit.
        areas: Shape (n,), square pixels, stored as float64.
        iscrowds: Shape (n,), 0 or 1.
        difficults: Shape (n,), 0 or 1.
        ignores: Shape (n,), 0 or 1.
        annotation_ids: Shape (n,), 64-bit.
        segmentations: Per object a COCO polygon list, an RLE dict, or None.
    """

    image: bytes
    width: int
    height: int
    file_name: str
    boxes: NDArray[Any]
    labels: NDArray[Any]
    image_id: int | None = None
    areas: NDArray[Any] | None = None
    iscrowds: NDArray[Any] | None = None
    difficults: NDArray[Any] | None = None
    ignores: NDArray[Any] | None = None
    annotation_ids: NDArray[Any] | None = None
    segmentations: list[Any] | None = None


def check_target(path: str, *, overwrite: bool = False, creds: Mapping[str, str] | None = None) -> None:
    """Refuse early what `LakeWriter` would refuse, without changing anything.

    Raises:
        ImportRefusedError: There is a lake and ``overwrite`` is not set, or there is something else.
        StorageError: The storage cannot be listed.
    """
    _open_target(path, overwrite, creds).check()


class LakeWriter:
    """Context manager that writes a new lake; leaving it normally commits, an exception undoes everything.

    Columns: ``images``, ``boxes``, ``labels``, ``width``, ``height``, ``file_name`` and those of
    ``optional_columns``. ``segmentations`` holds one JSON list per image. Memory does not grow with the
    number of rows.

    Args:
        path: Folder or URL of the lake to be.
        class_names: Names by label.
        box_format: ``'ltwh'`` or ``'ltrb'``, in pixels.
        image_format: ``'jpeg'`` or ``'png'``; every image must have it.
        optional_columns: Which of `OPTIONAL_COLUMNS` the lake has; each record must then fill them.
        category_ids: Ids of the classes in their source, by label.
        overwrite: Replace an existing lake, once the new one is complete. What is not a lake is never
            replaced.
        source: Where the rows come from, ``'coco'`` say; kept in the lake's metadata.
        message: Commit message.
        creds: Storage options as Deep Lake takes them.

    Attributes:
        rows: How many records were appended.
        notes: What was tidied up on the way, for the user to read.

    Raises:
        ConfigError: An argument has a value other than those above.
        ImportRefusedError: On entry or at the end: something stands at the path.
        AnnotationError: By `append`: a record contradicts itself or the columns. At the end: no rows.
        StorageError: The storage refused or failed.
    """

    def __init__(
        self,
        path: str,
        *,
        class_names: Sequence[str],
        box_format: str,
        image_format: str,
        optional_columns: Collection[str] = (),
        category_ids: Sequence[int] | None = None,
        overwrite: bool = False,
        source: str = "unknown",
        message: str | None = None,
        creds: Mapping[str, str] | None = None,
    ) -> None:
        _check_choice("box_format", box_format, ("ltwh", "ltrb"))
        _check_choice("image_format", image_format, tuple(_SIGNATURES))
        for name in optional_columns:
            _check_choice("optional_columns", name, OPTIONAL_COLUMNS)
        self.class_names = list(class_names)
        if not self.class_names or len(set(self.class_names)) != len(self.class_names):
            raise ConfigError("A lake needs class names, each once", where=f"class_names={self.class_names}")
        if category_ids is not None and len(category_ids) != len(self.class_names):
            raise ConfigError(
                f"There are {len(category_ids)} category ids for {len(self.class_names)} class names",
                where="category_ids",
            )
        self._target = _open_target(path, overwrite, creds)
        self.path = self._target.name
        self.rows = 0
        self.notes = self._target.notes
        self._box_format = box_format
        self._image_format = image_format
        self._optional = [name for name in OPTIONAL_COLUMNS if name in optional_columns]
        self._category_ids = None if category_ids is None else [int(number) for number in category_ids]
        self._source = source
        self._message = message or f"Import from {source}"
        self._dataset: Any = None
        self._pending: dict[str, list[Any]] = {}
        self._pending_bytes = 0

    def __repr__(self) -> str:
        return f"LakeWriter({self.path!r}, rows={self.rows})"

    def __enter__(self) -> LakeWriter:
        url = self._target.prepare()
        try:
            with self._guarded("The lake cannot be created"):
                self._create(url)
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon(error)
            return
        try:
            self._finish()
        except BaseException as failure:
            self._abandon(failure)
            raise

    def append(self, record: ImageRecord) -> None:
        """Check one record and write it with the next batch."""
        row = self._row(record)
        for name, value in row.items():
            self._pending.setdefault(name, []).append(value)
        self.rows += 1
        self._pending_bytes += len(record.image) + len(row.get("segmentations", ""))
        if len(self._pending["images"]) >= _BATCH_ROWS or self._pending_bytes >= _BATCH_BYTES:
            self._flush()

    def _create(self, url: str) -> None:
        import deeplake
        from deeplake import types

        schema: dict[str, Any] = {
            "images": types.Image(sample_compression=self._image_format),
            "boxes": types.BoundingBox("float64", format=self._box_format, bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            "width": "int32",
            "height": "int32",
            "file_name": "text",
        }
        for name in self._optional:
            if name in _ARRAYS:
                schema[name] = types.Array(_ARRAYS[name], 1)
            else:
                schema[name] = "int64" if name == "image_id" else "text"
        self._dataset = deeplake.create(url, creds=self._target.creds, schema=schema)
        self._dataset.auto_commit_enabled = False  # a timed commit would show half a lake
        labels = self._dataset["labels"].metadata
        labels["class_names"] = self.class_names
        if self._category_ids is not None:
            labels["category_ids"] = self._category_ids
        if "segmentations" in self._optional:
            self._dataset["segmentations"].metadata["format"] = "coco-json"

    def _flush(self) -> None:
        if self._pending:
            with self._guarded("Rows cannot be written"):
                self._dataset.append(self._pending)
        self._pending, self._pending_bytes = {}, 0

    def _finish(self) -> None:
        if not self.rows:
            raise AnnotationError(
                "There are no images to put into the lake",
                where=f"lake {self.path}",
                advice="Check the source; a lake without rows is not written",
            )
        self._flush()
        with self._guarded("The lake cannot be committed"):
            self._dataset.metadata["deeplake_mmdet"] = {"format": 1, "source": self._source, "complete": True}
            self._dataset.commit(self._message)
        self._dataset = None
        self._target.publish()

    def _abandon(self, error: BaseException | None = None) -> None:
        self._dataset = None
        self._pending = {}
        try:
            self._target.discard()
        except Exception as failure:
            # The first error matters more; the second tells what is left behind.
            reason = str(failure) if isinstance(failure, DeepLakeMMDetError) else type(failure).__name__
            self.notes.append(f"The unfinished lake could not be removed ({reason}): {self._target.leftover}")
            if error is not None and hasattr(error, "add_note"):  # Python 3.11
                error.add_note(self.notes[-1])

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        with _guard(what, self.path, self._target.creds):
            yield

    def _row(self, record: ImageRecord) -> dict[str, Any]:
        where = f"image {record.file_name!r}"
        if not record.file_name or not isinstance(record.file_name, str):
            raise AnnotationError("A record has no file name", where=f"row {self.rows}")
        if not bytes(record.image[:8]).startswith(_SIGNATURES[self._image_format]):
            raise AnnotationError(f"The bytes are not an image of type {self._image_format}", where=where)
        if not (0 < record.width < 2**31 and 0 < record.height < 2**31):
            raise AnnotationError(f"The size is {record.width} x {record.height} pixels", where=where)
        boxes = np.asarray(record.boxes, dtype=np.float64)
        boxes = np.zeros((0, 4)) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise AnnotationError(
                f"Boxes must be finite and of shape (n, 4); these have shape {boxes.shape}", where=where
            )
        row: dict[str, Any] = {
            "images": bytes(record.image),
            "boxes": boxes,
            "labels": self._labels(record, len(boxes), where),
            "width": int(record.width),
            "height": int(record.height),
            "file_name": record.file_name,
        }
        for name in OPTIONAL_COLUMNS:
            value = getattr(record, name)
            if (value is not None) != (name in self._optional):
                state = "has no value" if value is None else "has a value, but the lake has no such column"
                raise AnnotationError(f"'{name}' {state}", where=where, advice="See 'optional_columns'")
            if value is not None:
                row[name] = _optional_value(name, value, len(boxes), where)
        return row

    def _labels(self, record: ImageRecord, count: int, where: str) -> NDArray[np.uint32]:
        labels = np.asarray(record.labels)
        _check_length("labels", labels, count, where)
        if count and (
            not np.issubdtype(labels.dtype, np.integer)
            or labels.min() < 0
            or labels.max() >= len(self.class_names)
        ):
            raise AnnotationError(
                f"Labels must be whole numbers from 0 to {len(self.class_names) - 1}; "
                f"got {labels.tolist()!r:.80}",
                where=where,
            )
        return labels.astype(np.uint32)


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"'{key}' is {value!r}", where=key, advice=f"Choose from {', '.join(choices)}")


def _check_length(name: str, values: NDArray[Any], count: int, where: str) -> None:
    if values.shape != (count,) and not (count == 0 and values.size == 0 and values.ndim <= 2):
        raise AnnotationError(f"'{name}' has shape {values.shape} for {count} boxes", where=where)


def _optional_value(name: str, value: Any, count: int, where: str) -> Any:
    if name == "image_id":
        if not -(2**63) <= value < 2**63:
            raise AnnotationError(f"Image id {value} does not fit 64 bits", where=where)
        return int(value)
    if name == "segmentations":
        if len(value) != count:
            raise AnnotationError(f"'{name}' has {len(value)} entries for {count} boxes", where=where)
        try:
            return json.dumps(value, default=_ascii)
        except (TypeError, ValueError) as error:
            raise AnnotationError(f"'{name}' cannot be written as JSON ({error})", where=where) from None
    array = np.asarray(value)
    _check_length(name, array, count, where)
    kind = _ARRAYS[name]
    if kind == "uint8" and not np.isin(array, (0, 1)).all():
        raise AnnotationError(f"'{name}' holds values other than 0 and 1", where=where)
    if kind == "int64" and count and not np.issubdtype(array.dtype, np.integer):
        raise AnnotationError(f"'{name}' holds values that are not 64-bit integers", where=where)
    return array.reshape(count).astype(kind)


def _ascii(value: Any) -> str:
    if isinstance(value, bytes):  # pycocotools gives the counts of an RLE as bytes
        return value.decode("ascii")
    raise TypeError(f"{type(value).__name__} is no JSON value")


# Staging folders that this very process writes to; any other one with its id is of a dead namesake.
_active: set[str] = set()


def _open_target(path: str, overwrite: bool, creds: Mapping[str, str] | None) -> _LocalTarget | _RemoteTarget:
    """The target for a path or URL; nothing is touched yet."""
    path = os.fspath(path).removeprefix("file://")
    if "://" in path:
        return _RemoteTarget(path, overwrite, creds)
    return _LocalTarget(path, overwrite)


@contextlib.contextmanager
def _guard(what: str, where: str, creds: Mapping[str, str] | None) -> Iterator[None]:
    """Turn Deep Lake's errors into `StorageError`, without the values of ``creds``."""
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except Exception as error:
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


class _LocalTarget:
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
        import deeplake

        path = self._path
        if not path.exists():
            return
        if not path.is_dir():
            raise _refuse_other(self.name)
        if not any(path.iterdir()):
            return
        with _guard("The path cannot be examined", self.name, None):
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
        self._tidy()
        self.check()
        with _guard("The staging folder cannot be made", self.name, None):
            self._staging.mkdir(parents=True)
        _active.add(str(self._staging))
        return str(self._staging)

    def publish(self) -> None:
        self.check()
        with _guard("The complete lake cannot be moved to its path", self.name, None):
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
            with _guard("What an interrupted import left cannot be removed", str(folder), None):
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


class _RemoteTarget:
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
        self._is_empty()

    def _is_empty(self) -> bool:
        import deeplake

        with _guard("The path cannot be examined", self.name, self.creds):
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
        if not self._is_empty():
            self._staging = f"{self.name}.importing-{secrets.token_hex(6)}"
            self.leftover = self._staging
        # deeplake.delete() removes everything under an address, lake or not: only where nothing was before.
        self._removable = True
        return self._staging or self.name

    def publish(self) -> None:
        import deeplake

        if self._staging is None:
            return
        self._is_empty()
        self._removable = False  # from here on the staging place may be the only whole lake
        with _guard(f"The complete lake stays at {self._staging}; it cannot be moved", self.name, self.creds):
            deeplake.delete(self.name, creds=self.creds)
            self._copy(self._staging)
            deeplake.delete(self._staging, creds=self.creds)

    def discard(self) -> None:
        import deeplake

        if self._removable:
            with _guard("Deep Lake's delete failed", self.leftover, self.creds):
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
