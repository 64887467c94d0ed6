"""Rows on their way into a new lake: checked and brought into columns many at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.images.exif_choice import EXIF_COLUMN
from deeplake_mmdet.lake.images.signatures import JPEG, PNG
from deeplake_mmdet.lake.schema.roles import COCO_JSON, COCO_REMAINDERS, JSON_IDS

__all__ = ["ARRAYS", "JSON_COLUMNS", "OPTIONAL_COLUMNS", "SIGNATURES", "ImageRecord", "RowBlock"]

# Column -> element type of its one-dimensional array.
ARRAYS: dict[str, str] = {
    "areas": "float64",
    "iscrowds": "uint8",
    "difficults": "uint8",
    "ignores": "uint8",
    "annotation_ids": "int64",
}
# Column of JSON -> mark in its metadata.
JSON_COLUMNS = {
    "segmentations": COCO_JSON,
    "image_source_id": JSON_IDS,
    "annotation_source_ids": JSON_IDS,
    "image_remainder": COCO_REMAINDERS,
    "annotation_remainders": COCO_REMAINDERS,
}
_OF_IMAGES = ("image_source_id", "image_remainder")  # one value; the others are lists, one for each box
OPTIONAL_COLUMNS = (*ARRAYS, "image_id", *JSON_COLUMNS)
SIGNATURES = {"jpeg": JPEG, "png": PNG}
_ORIENTATIONS = frozenset((0, *range(2, 9)))
_NO_BOXES = np.zeros((0, 4))


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
        image_remainder: What else its source says of the image, see `Remainders`; empty if nothing.
        annotation_remainders: The same per object, or None.
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
    image_remainder: Mapping[str, Any] | None = None
    annotation_remainders: list[Any] | None = None
    exif_turned: int = 0


class RowBlock:
    """Records that wait to be written together.

    Args:
        image_format: ``'jpeg'`` or ``'png'``.
        classes: How many classes the lake has.
        optional: Which of `OPTIONAL_COLUMNS` it has.
        first: Number of the block's first row.

    Attributes:
        bytes: Of images and masks, about.
    """

    def __init__(self, image_format: str, classes: int, optional: Sequence[str], first: int = 0) -> None:
        self._signature, self._format = SIGNATURES[image_format], image_format
        self._classes = classes
        self._optional = optional
        self._first = first
        self._records: list[ImageRecord] = []
        self._texts: dict[str, list[str]] = {name: [] for name in optional if name in JSON_COLUMNS}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: ImageRecord) -> None:
        """Add one record; `columns` checks it with the others.

        Args:
            record: One image with its annotations.

        Raises:
            AnnotationError: Something of it cannot be written as JSON.
        """
        self._records.append(record)
        self.bytes += len(record.image)
        for name, texts in self._texts.items():  # now, as what is written as JSON takes ten times as much
            texts.append(_as_json(name, getattr(record, name), record))
            self.bytes += len(texts[-1])

    def columns(self) -> dict[str, Any]:
        """All records by column, as Deep Lake takes them.

        Raises:
            AnnotationError: A record contradicts itself or the columns.
        """
        try:
            return self._columns(self._records) | self._texts
        except AnnotationError:
            for number, record in enumerate(self._records, self._first):
                if not isinstance(record.file_name, str) or not record.file_name:
                    raise AnnotationError("A record has no file name", where=f"row {number}") from None
                self._columns([record])  # tells which one it is
            raise

    def _columns(self, records: Sequence[ImageRecord]) -> dict[str, Any]:
        where = f"image {records[0].file_name!r}"
        for record in records:
            self._check_image(record, where)
        boxes = [_boxes(record.boxes, where) for record in records]
        counts = [len(one) for one in boxes]
        if not np.isfinite(np.concatenate(boxes)).all():
            raise AnnotationError("Boxes must be finite", where=where)
        columns: dict[str, Any] = {
            "images": [bytes(record.image) for record in records],
            "boxes": boxes,
            "labels": self._labels(records, counts, where),
            "width": [int(record.width) for record in records],
            "height": [int(record.height) for record in records],
            EXIF_COLUMN: [record.exif_turned for record in records],
            "file_name": [record.file_name for record in records],
        }
        for name in OPTIONAL_COLUMNS:
            values = [getattr(record, name) for record in records]
            self._check_presence(name, values, where)
            if name not in self._optional:
                continue
            if name == "image_id":
                columns[name] = _image_ids(values, where)
            elif name in ARRAYS:
                columns[name] = _arrays(name, values, counts, ARRAYS[name], where)
            elif name not in _OF_IMAGES:
                for value, count in zip(values, counts, strict=True):
                    if len(value) != count:
                        raise AnnotationError(
                            f"'{name}' has {len(value)} entries for {count} boxes", where=where
                        )
        return columns

    def _check_image(self, record: ImageRecord, where: str) -> None:
        if not isinstance(record.file_name, str) or not record.file_name:
            raise AnnotationError("A record has no file name", where=where)
        if not bytes(record.image[:8]).startswith(self._signature):
            raise AnnotationError(f"The bytes are not an image of type {self._format}", where=where)
        if not (0 < record.width < 2**31 and 0 < record.height < 2**31):
            raise AnnotationError(f"The size is {record.width} x {record.height} pixels", where=where)
        if record.exif_turned not in _ORIENTATIONS:
            raise AnnotationError(f"'exif_turned' is {record.exif_turned!r}, not 0 or 2 to 8", where=where)

    def _labels(
        self, records: Sequence[ImageRecord], counts: Sequence[int], where: str
    ) -> list[NDArray[np.uint32]]:
        arrays = [np.asarray(record.labels) for record in records]
        flat = _flat("labels", arrays, counts, where)
        if any(array.size and array.dtype.kind not in "iu" for array in arrays) or (
            flat.size and (flat.min() < 0 or flat.max() >= self._classes)
        ):
            raise AnnotationError(
                f"Labels must be whole numbers from 0 to {self._classes - 1}; got {flat.tolist()!r:.80}",
                where=where,
            )
        return _split(flat.astype(np.uint32), counts)

    def _check_presence(self, name: str, values: Iterable[Any], where: str) -> None:
        wanted = name in self._optional
        for value in values:
            if (value is not None) != wanted:
                state = "has no value" if value is None else "has a value, but the lake has no such column"
                raise AnnotationError(f"'{name}' {state}", where=where, advice="See 'optional_columns'")


def _boxes(given: Any, where: str) -> NDArray[np.float64]:
    boxes = np.asarray(given, dtype=np.float64)
    if boxes.size == 0:
        return _NO_BOXES
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise AnnotationError(
            f"Boxes must be finite and of shape (n, 4); these have shape {boxes.shape}", where=where
        )
    return boxes


def _arrays(
    name: str, values: Sequence[Any], counts: Sequence[int], kind: str, where: str
) -> list[NDArray[Any]]:
    """Check a column with one value for each box, and give its array for each record."""
    arrays = [np.asarray(value) for value in values]
    flat = _flat(name, arrays, counts, where)
    if kind == "uint8" and not ((flat == 0) | (flat == 1)).all():
        raise AnnotationError(f"'{name}' holds values other than 0 and 1", where=where)
    if kind == "int64" and any(array.size and array.dtype.kind not in "iu" for array in arrays):
        raise AnnotationError(f"'{name}' holds values that are not 64-bit integers", where=where)
    return _split(flat.astype(kind, copy=False), counts)


def _flat(name: str, arrays: Sequence[NDArray[Any]], counts: Sequence[int], where: str) -> NDArray[Any]:
    """Join the arrays without rounding, after a check of their shapes."""
    for array, count in zip(arrays, counts, strict=True):
        if array.shape != (count,) and not (count == 0 and array.size == 0 and array.ndim <= 2):
            raise AnnotationError(f"'{name}' has shape {array.shape} for {count} boxes", where=where)
    filled = [array for array in arrays if array.size]
    if len({array.dtype for array in filled}) > 1:  # NumPy would round whole numbers beside fractions
        filled = [array.astype(object) for array in filled]
    return np.concatenate(filled) if filled else np.zeros(0, np.int64)


def _split(flat: NDArray[Any], counts: Sequence[int]) -> list[NDArray[Any]]:
    ends = np.cumsum(counts).tolist()
    return [flat[end - count : end] for count, end in zip(counts, ends, strict=True)]


def _image_ids(values: Sequence[int], where: str) -> list[int]:
    for value in values:
        if not -(2**63) <= value < 2**63:
            raise AnnotationError(f"Image id {value} does not fit 64 bits", where=where)
    return [int(value) for value in values]


def _as_json(name: str, value: Any, record: ImageRecord) -> str:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise AnnotationError(
            f"'{name}' cannot be written as JSON ({error})", where=f"image {record.file_name!r}"
        ) from None


def _ascii(value: Any) -> str:
    if isinstance(value, bytes):  # pycocotools gives the counts of an RLE as bytes
        return value.decode("ascii")
    raise TypeError(f"{type(value).__name__} is no JSON value")


_ENCODER = json.JSONEncoder(default=_ascii)
