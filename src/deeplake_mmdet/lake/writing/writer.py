"""Writing of a new lake: no half lake that looks whole, and an old one in its place until it is complete.

A local lake is written into a sibling folder that is renamed, see `targets`; a remote one into a branch,
see `branches`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from deeplake_mmdet.errors import (
    AnnotationError,
    ConfigError,
    CredentialError,
    DeepLakeMMDetError,
    StorageError,
)
from deeplake_mmdet.lake.calls.faults import Background, deadline_seconds, wait
from deeplake_mmdet.lake.images.exif_choice import EXIF_COLUMN, EXIF_KEY
from deeplake_mmdet.lake.schema.class_names import read_class_names
from deeplake_mmdet.lake.schema.columns import CATEGORY_SOURCE_IDS
from deeplake_mmdet.lake.schema.roles import EXIF_TURNED, STORED_PIXELS, TURNED_PIXELS
from deeplake_mmdet.lake.writing.append_target import AppendTarget
from deeplake_mmdet.lake.writing.branches import open_target
from deeplake_mmdet.lake.writing.rows import (
    ARRAYS,
    JSON_COLUMNS,
    OPTIONAL_COLUMNS,
    SIGNATURES,
    ImageRecord,
    RowBlock,
)
from deeplake_mmdet.lake.writing.targets import storage_errors

__all__ = ["OPTIONAL_COLUMNS", "ImageRecord", "LakeWriter", "check_target"]

_BATCH_ROWS = 256
_BATCH_BYTES = 32 * 2**20


def check_target(path: str, *, overwrite: bool = False, creds: Mapping[str, str] | None = None) -> None:
    """Refuse early what `LakeWriter` would refuse, without changing anything.

    Args:
        path: Folder or address of the new lake.
        overwrite: Whether a lake that stands there is to be replaced.
        creds: Keys of the storage, by Deep Lake's names; None for the environment's. Not used for folders.

    Raises:
        ImportRefusedError: There is a lake and ``overwrite`` is not set, or there is something else.
        CredentialError: The address holds a user name or a secret, or the storage refused access.
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
        measured: Whether all widths and heights are those of the images themselves; else readers measure the
            images anew.
        into: Where the rows go, if not into a lake of their own: one that stands, or a shard of a new one.

    Attributes:
        box_format: How boxes are stored.
        facts: What the lake's metadata says of the import besides, in few words: from about 32 KiB on, Deep
            Lake 4.7 loses the lake's tags and branches by it. May be filled until the end.
        remainder: What the source says of the whole, as JSON of any length; kept beside the images' column.
            To be filled before the lake is begun.
        rows: How many records were appended.
        notes: What was tidied up on the way, for the user to read.

    Raises:
        ConfigError: An argument has a value other than those above.
        ImportRefusedError: On entry or at the end: something stands at the path.
        AnnotationError: By `append` or at the end: a record contradicts itself or the columns. At the end: no
            rows.
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
        measured: bool = True,
        into: AppendTarget | None = None,
    ) -> None:
        _check_choice("box_format", box_format, ("ltwh", "ltrb"))
        _check_choice("image_format", image_format, tuple(SIGNATURES))
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
        self._target = into or open_target(path, overwrite, creds)
        self.path = self._target.name
        self.rows = 0
        self.notes = self._target.notes
        self.box_format = box_format
        self.facts: dict[str, Any] = {}
        self.remainder: dict[str, str] = {}
        self._measured = measured
        self._image_format = image_format
        self._optional = [name for name in OPTIONAL_COLUMNS if name in optional_columns]
        self._category_ids: list[Any] | None = None
        if category_ids is not None:
            self._category_ids = [n.item() if isinstance(n, np.generic) else n for n in category_ids]
        self._source = source
        self._message = message or f"Import from {source}"
        self._dataset: Any = None
        self._pending = self._no_rows()
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
        """Add one record; it is checked and written with the next batch.

        Args:
            record: One image with its annotations.

        Raises:
            AnnotationError: This record, or one of the batch, contradicts itself or the columns.
            StorageError, CredentialError: The storage failed or refused access.
        """
        self._pending.add(record)
        self.rows += 1
        self._turned |= bool(record.exif_turned)
        if len(self._pending) >= _BATCH_ROWS or self._pending.bytes >= _BATCH_BYTES:
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
            if name in ARRAYS:
                schema[name] = types.Array(ARRAYS[name], 1)
            else:
                schema[name] = "int64" if name == "image_id" else "text"
        self._dataset = self._target.begin(schema, self._describe)

    def _describe(self, dataset: Any) -> None:
        """Write down beside the columns what they mean."""
        labels = dataset["labels"].metadata
        labels["class_names"] = self.class_names
        if self._category_ids is not None:
            whole = all(isinstance(n, int) and -(2**63) <= n < 2**63 for n in self._category_ids)
            if whole:
                labels["category_ids"] = self._category_ids
            else:  # as text: Deep Lake 4.7 takes lists of one type only, and corrupts others
                labels[CATEGORY_SOURCE_IDS] = json.dumps(self._category_ids)
        for name, mark in JSON_COLUMNS.items():
            if name in self._optional:
                dataset[name].metadata["format"] = mark
        for name in ("width", "height") if self._measured else ():  # these may be trusted
            dataset[name].metadata["format"] = STORED_PIXELS
        dataset[EXIF_COLUMN].metadata["format"] = EXIF_TURNED
        for name, text in self.remainder.items():
            dataset["images"].metadata[name] = text

    def _flush(self) -> None:
        if len(self._pending):
            rows, dataset = self._pending.columns(), self._dataset
            end = time.monotonic() + deadline_seconds()
            with self._guarded("Rows cannot be written"):
                wait(lambda: Background(lambda: dataset.append(rows)), end, f"lake {self.path}")
                self._target.appended(self._pending.bytes)
        self._pending = self._no_rows()

    def _no_rows(self) -> RowBlock:
        return RowBlock(self._image_format, len(self.class_names), self._optional, self.rows)

    def _finish(self) -> None:
        if not (self.rows or self._target.may_be_empty):
            raise AnnotationError(
                "There are no images to put into the lake",
                where=f"lake {self.path}",
                advice="Check the source; a lake without rows is not written",
            )
        self._flush()
        dataset, self._dataset = self._dataset, None
        if self._turned:
            dataset["images"].metadata[EXIF_KEY] = EXIF_COLUMN
            for name in ("width", "height") if self._measured else ():
                dataset[name].metadata["format"] = TURNED_PIXELS
        metadata = {"format": 1, "source": self._source, "complete": True, **self.facts}
        self._target.publish(dataset, self._message, self.rows, metadata)

    def _abandon(self, error: BaseException | None = None) -> None:
        self._dataset = None
        self._pending = self._no_rows()
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


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"'{key}' is {value!r}", where=key, advice=f"Choose from {', '.join(choices)}")
