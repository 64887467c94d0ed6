"""Writing of a new lake: no half lake that looks whole, and an old one in its place until it is complete.

A local lake is written into a sibling folder that is renamed, see `targets`; a remote one into a branch, see
`replacing`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import (
    AnnotationError,
    ConfigError,
    CredentialError,
    DeepLakeMMDetError,
    StorageError,
)
from deeplake_mmdet.lake.calls.faults import Background, deadline_seconds, wait
from deeplake_mmdet.lake.images.exif_choice import EXIF_COLUMN, EXIF_KEY
from deeplake_mmdet.lake.images.signatures import JPEG, PNG
from deeplake_mmdet.lake.schema.class_names import read_class_names
from deeplake_mmdet.lake.schema.columns import CATEGORY_SOURCE_IDS
from deeplake_mmdet.lake.schema.roles import COCO_JSON, EXIF_TURNED, JSON_IDS, STORED_PIXELS, TURNED_PIXELS
from deeplake_mmdet.lake.writing.branches import open_target
from deeplake_mmdet.lake.writing.targets import storage_errors

__all__ = ["OPTIONAL_COLUMNS", "ImageRecord", "LakeWriter", "check_target"]

# Column -> element type of its one-dimensional array; None for columns of another make.
_ARRAYS: dict[str, str] = {
    "areas": "float64",
    "iscrowds": "uint8",
    "difficults": "uint8",
    "ignores": "uint8",
    "annotation_ids": "int64",
}
# Column of JSON -> mark in its metadata.
_JSON = {"segmentations": COCO_JSON, "image_source_id": JSON_IDS, "annotation_source_ids": JSON_IDS}
OPTIONAL_COLUMNS = (*_ARRAYS, "image_id", *_JSON)
_SIGNATURES = {"jpeg": JPEG, "png": PNG}
_BATCH_ROWS = 256
_BATCH_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One row of a lake.

    Attributes:
        image: The encoded image, stored unchanged.
        width: Width in pixels: of the stored image, or of the turned one, by ``exif_turned``.
        height: Height in pixels, of the same image as the width.
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
        image_source_id: Id of the image in its source where that is no 64-bit integer: a text or number.
        annotation_source_ids: Per object its id in the source: a text, a number, or None.
        exif_turned: EXIF orientation, 2 to 8, by which readers are to turn the image, to which boxes, size
            and segmentations belong then; 0 if they belong to the stored pixels, whatever the orientation.
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
    image_source_id: int | float | str | None = None
    annotation_source_ids: list[Any] | None = None
    exif_turned: int = 0


def check_target(path: str, *, overwrite: bool = False, creds: Mapping[str, str] | None = None) -> None:
    """Refuse early what `LakeWriter` would refuse, without changing anything.

    Raises:
        ImportRefusedError: There is a lake and ``overwrite`` is not set, or there is something else.
        StorageError: The storage cannot be listed.
    """
    open_target(path, overwrite, creds).check()


class LakeWriter:
    """Context manager that writes a new lake; leaving it normally commits, an exception undoes everything.

    Columns: ``images``, ``boxes``, ``labels``, ``width``, ``height``, ``exif_turned``, ``file_name`` and
    those of ``optional_columns``. ``segmentations`` and ``annotation_source_ids`` hold one JSON list per
    image, ``image_source_id`` one JSON value. Memory does not grow with the number of rows.

    Args:
        path: Folder or URL of the lake to be.
        class_names: Names by label, in any form of `read_class_names` that leaves no number out.
        box_format: ``'ltwh'`` or ``'ltrb'``, in pixels.
        image_format: ``'jpeg'`` or ``'png'``; every image must have it.
        optional_columns: Which of `OPTIONAL_COLUMNS` the lake has; each record must then fill them.
        category_ids: Ids of the classes in their source, by label; whole numbers, or (kept beside) texts and
            other numbers.
        overwrite: Replace an existing lake, once the new one is complete. What is not a lake is never
            replaced.
        source: Where the rows come from, ``'coco'`` say; kept in the lake's metadata.
        message: Commit message.
        creds: Storage options as Deep Lake takes them.

    Attributes:
        box_format: How boxes are stored.
        rows: How many records were appended.
        notes: What was tidied up on the way, for the user to read.

    Raises:
        ConfigError: An argument has a value other than those above.
        ImportRefusedError: On entry or at the end: something stands at the path.
        AnnotationError: By `append`: a record contradicts itself or the columns. At the end: no rows.
        CredentialError, StorageError: The storage refused or failed; a lake that stood there is as it was.
    """

    def __init__(
        self,
        path: str,
        *,
        class_names: Any,
        box_format: str,
        image_format: str,
        optional_columns: Collection[str] = (),
        category_ids: Sequence[int | float | str] | None = None,
        overwrite: bool = False,
        source: str = "unknown",
        message: str | None = None,
        creds: Mapping[str, str] | None = None,
    ) -> None:
        _check_choice("box_format", box_format, ("ltwh", "ltrb"))
        _check_choice("image_format", image_format, tuple(_SIGNATURES))
        for name in optional_columns:
            _check_choice("optional_columns", name, OPTIONAL_COLUMNS)
        names = read_class_names(class_names, "class_names", error=ConfigError)
        if not names.names or names.numbers is not None:
            raise ConfigError(
                "A lake needs class names, each once, for the labels from 0 on",
                where=f"class_names={class_names!r:.80}",
            )
        self.class_names = list(names.names)
        if category_ids is not None and len(category_ids) != len(self.class_names):
            raise ConfigError(
                f"There are {len(category_ids)} category ids for {len(self.class_names)} class names",
                where="category_ids",
            )
        self._target = open_target(path, overwrite, creds)
        self.path = self._target.name
        self.rows = 0
        self.notes = self._target.notes
        self.box_format = box_format
        self._image_format = image_format
        self._optional = [name for name in OPTIONAL_COLUMNS if name in optional_columns]
        self._category_ids: list[Any] | None = None
        if category_ids is not None:
            self._category_ids = [n.item() if isinstance(n, np.generic) else n for n in category_ids]
        self._source = source
        self._message = message or f"Import from {source}"
        self._dataset: Any = None
        self._pending: dict[str, list[Any]] = {}
        self._pending_bytes = 0
        self._turned = False

    def __repr__(self) -> str:
        return f"LakeWriter({self.path!r}, rows={self.rows})"

    def __enter__(self) -> LakeWriter:
        try:
            with self._guarded("The lake cannot be created"):
                self._create()
        except BaseException as failure:
            self._abandon(failure)
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
        self._turned |= bool(record.exif_turned)
        self._pending_bytes += len(record.image) + len(row.get("segmentations", ""))
        if len(self._pending["images"]) >= _BATCH_ROWS or self._pending_bytes >= _BATCH_BYTES:
            self._flush()

    def _create(self) -> None:
        from deeplake import types

        schema: dict[str, Any] = {
            "images": types.Image(sample_compression=self._image_format),
            "boxes": types.BoundingBox("float64", format=self.box_format, bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            "width": "int32",
            "height": "int32",
            EXIF_COLUMN: "uint8",
            "file_name": "text",
        }
        for name in self._optional:
            if name in _ARRAYS:
                schema[name] = types.Array(_ARRAYS[name], 1)
            else:
                schema[name] = "int64" if name == "image_id" else "text"
        self._dataset = self._target.begin(schema)
        self._dataset.auto_commit_enabled = False  # a timed commit would show half a lake
        labels = self._dataset["labels"].metadata
        labels["class_names"] = self.class_names
        if self._category_ids is not None:
            whole = all(isinstance(n, int) and -(2**63) <= n < 2**63 for n in self._category_ids)
            if whole:
                labels["category_ids"] = self._category_ids
            else:  # as text: Deep Lake 4.7 takes lists of one type only, and corrupts others
                labels[CATEGORY_SOURCE_IDS] = json.dumps(self._category_ids)
        for name, mark in _JSON.items():
            if name in self._optional:
                self._dataset[name].metadata["format"] = mark
        for name in ("width", "height"):  # the import decoded every image: these may be trusted
            self._dataset[name].metadata["format"] = STORED_PIXELS
        self._dataset[EXIF_COLUMN].metadata["format"] = EXIF_TURNED

    def _flush(self) -> None:
        if self._pending:
            rows, dataset = self._pending, self._dataset
            end = time.monotonic() + deadline_seconds()
            with self._guarded("Rows cannot be written"):
                wait(lambda: Background(lambda: dataset.append(rows)), end, f"lake {self.path}")
                self._target.appended(self._pending_bytes)
        self._pending, self._pending_bytes = {}, 0

    def _finish(self) -> None:
        if not self.rows:
            raise AnnotationError(
                "There are no images to put into the lake",
                where=f"lake {self.path}",
                advice="Check the source; a lake without rows is not written",
            )
        self._flush()
        dataset, self._dataset = self._dataset, None
        if self._turned:
            dataset["images"].metadata[EXIF_KEY] = EXIF_COLUMN
            for name in ("width", "height"):
                dataset[name].metadata["format"] = TURNED_PIXELS
        metadata = {"format": 1, "source": self._source, "complete": True}
        self._target.publish(dataset, self._message, self.rows, metadata)

    def _abandon(self, error: BaseException | None = None) -> None:
        self._dataset = None
        self._pending = {}
        try:
            self._target.discard(quick=isinstance(error, KeyboardInterrupt | StorageError | CredentialError))
        except Exception as failure:
            # The first error matters more; the second tells what is left behind.
            reason = str(failure) if isinstance(failure, DeepLakeMMDetError) else type(failure).__name__
            self.notes.append(f"The unfinished lake could not be removed ({reason}): {self._target.leftover}")
            if error is not None and hasattr(error, "add_note"):  # Python 3.11
                error.add_note(self.notes[-1])
        if isinstance(error, StorageError | CredentialError) and self._target.replaces:
            error.what = f"{error.what.rstrip('. ')}. The lake that stood there is as it was"

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        with storage_errors(what, self.path, self._target.creds):
            yield

    def _row(self, record: ImageRecord) -> dict[str, Any]:
        where = f"image {record.file_name!r}"
        if not record.file_name or not isinstance(record.file_name, str):
            raise AnnotationError("A record has no file name", where=f"row {self.rows}")
        if not bytes(record.image[:8]).startswith(_SIGNATURES[self._image_format]):
            raise AnnotationError(f"The bytes are not an image of type {self._image_format}", where=where)
        if not (0 < record.width < 2**31 and 0 < record.height < 2**31):
            raise AnnotationError(f"The size is {record.width} x {record.height} pixels", where=where)
        if record.exif_turned not in (0, *range(2, 9)):
            raise AnnotationError(f"'exif_turned' is {record.exif_turned!r}, not 0 or 2 to 8", where=where)
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
            EXIF_COLUMN: record.exif_turned,
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
    if name in _JSON:
        if name != "image_source_id" and len(value) != count:
            raise AnnotationError(f"'{name}' has {len(value)} entries for {count} boxes", where=where)
        try:
            return json.dumps(value, default=_ascii)
        except (TypeError, ValueError, RecursionError) as error:
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
