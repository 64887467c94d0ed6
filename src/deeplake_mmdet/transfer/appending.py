"""How the images of a source become rows of a lake that stands: its classes, columns and ids."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, ConfigError
from deeplake_mmdet.formats.voc_split import near_name
from deeplake_mmdet.lake.schema.boxes import BoxFormat, to_xywh, to_xyxy
from deeplake_mmdet.lake.writing.append_target import AppendTarget
from deeplake_mmdet.lake.writing.rows import OPTIONAL_COLUMNS, ImageRecord
from deeplake_mmdet.lake.writing.writer import LakeWriter
from deeplake_mmdet.transfer.coco_objects import mask_area
from deeplake_mmdet.transfer.encodings import Encoding, choose_encoding
from deeplake_mmdet.transfer.taking import TakenImage

__all__ = ["Appending", "open_appending"]

_FLAGS = ("iscrowds", "difficults", "ignores")
_SHOWN = 10
_LARGEST = 2**63 - 1


def open_appending(
    lake: str | Path, append: bool, overwrite: bool, creds: Mapping[str, str] | None
) -> Appending | None:
    """Look at the lake that rows are to be added to; None if a new one is to be made.

    Args:
        lake: Its folder or address.
        append: Whether there is to be one.
        overwrite: Must not be set as well.
        creds: Storage options.

    Raises:
        ConfigError: Both are set.
        ImportRefusedError: There is no lake, or rows of an import do not fit it.
        StorageError, CredentialError: The storage failed or refused access.
    """
    if not append:
        return None
    if overwrite:
        raise ConfigError(
            "'append' and 'overwrite' are both set",
            where="append (--append), overwrite (--overwrite)",
            advice="Choose: add to the lake, or replace it",
        )
    return Appending(os.fspath(lake), creds)


class Appending:
    """A lake that gets more rows, and what they must look like.

    Memory is 16 bytes for each row of the lake, and 8 for each id of an image or object in it.

    Args:
        lake: Its folder or address.
        creds: Storage options.

    Attributes:
        box_format: Of the source's boxes.
        notes: What the user should know about what does not fit, in sentences.
    """

    def __init__(self, lake: str, creds: Mapping[str, str] | None) -> None:
        self._target = AppendTarget(lake, creds)
        self._lake = self._target.examine()
        self.box_format = BoxFormat.parse(self._lake.box_format)
        self.notes: list[str] = []
        self._label_of: NDArray[np.int64] = np.zeros(0, np.int64)
        self._names = _NameIndex(self._target)
        columns = self._lake.columns
        self._image_ids = _Ids(self._target, "image_id") if "image_id" in columns else None
        self._object_ids = _Ids(self._target, "annotation_ids") if "annotation_ids" in columns else None
        self._source_ids: set[int] = set()
        if "image_source_id" in columns:
            self._source_ids = {
                hash(text) for block in self._target.values("image_source_id") for text in block
            }

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of the lake."""
        return self._lake.class_names

    @property
    def rows(self) -> int:
        """How many rows the lake has, once the import has ended."""
        return self._target.rows

    @property
    def keeps_remainders(self) -> bool:
        """Whether it has columns for what nothing reads."""
        return {"image_remainder", "annotation_remainders"} <= self._lake.columns

    def encoding(self, convert: str) -> Encoding:
        """How the images are stored: as those of the lake; others are converted without loss, or refused.

        Args:
            convert: See `choose_encoding`.

        Raises:
            ConfigError: It has another value.
        """
        choose_encoding((), convert)
        return Encoding(self._lake.image_format, convert=convert == "auto")

    def keep_free(self, image_ids: Iterable[Any], object_ids: Iterable[Any]) -> None:
        """Keep the source's own ids free: those that are given to others begin after them.

        Args:
            image_ids, object_ids: Ids of images and objects; what is no whole number does not count.
        """
        for ids, stated in ((self._image_ids, image_ids), (self._object_ids, object_ids)):
            if ids is not None:
                whole = (one for one in stated if isinstance(one, int) and one <= _LARGEST)
                ids.next = max(ids.next, max(whole, default=0) + 1)

    def remainders(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Which keys of a COCO file that nothing reads the lake has columns for; the others are noted.

        Args:
            keys: See `CocoFile.kept`.
        """
        places = {"images": "image_remainder", "annotations": "annotation_remainders"}
        kept = [key for key in keys if places.get(key.partition(".")[0]) in self._lake.columns]
        if lost := [key for key in keys if key not in kept]:
            self.notes.append(f"Left out, as the lake keeps no more of it: {', '.join(lost)}")
        return tuple(kept)

    def writer(
        self,
        lake: str,
        *,
        class_names: Sequence[str],
        box_format: str,
        optional_columns: Collection[str] = (),
        source: str = "unknown",
        message: str | None = None,
        **options: Any,
    ) -> LakeWriter:
        """The writer of the rows, to be made as `LakeWriter` is for a new lake.

        Args:
            lake, options: Not used: the lake decides.
            class_names: Of the source, by label.
            box_format: Of the source.
            optional_columns: Which of `OPTIONAL_COLUMNS` the source fills.
            source, message: See `LakeWriter`.

        Raises:
            ConfigError: A class is not one of the lake's.
        """
        self._check_classes(class_names)
        self.box_format = BoxFormat.parse(box_format)
        # Told by `fit` for each object, and by `remainders`.
        told = {"segmentations", *_FLAGS, "image_remainder", "annotation_remainders"}
        dropped = sorted(set(optional_columns) - self._lake.columns - told)
        if dropped:
            self.notes.append(f"Left out, as the lake has no column for it: {', '.join(dropped)}")
        return LakeWriter(
            self._target.name,
            class_names=self.class_names,
            box_format=self._lake.box_format,
            image_format=self._lake.image_format,
            optional_columns=self._lake.columns,
            source=source,
            message=message,
            measured=self._lake.measured,
            into=self._target,
        )

    def _check_classes(self, names: Sequence[str]) -> None:
        known = self.class_names
        unknown = [name for name in names if name not in known]
        if unknown:
            near = [(name, near_name(name, known)) for name in unknown[:_SHOWN]]
            hints = [repr(name) + (f" (did you mean {other!r}?)" if other else "") for name, other in near]
            more = f" and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN)
            raise ConfigError(
                f"The lake has no class {', '.join(hints)}{more}",
                where=f"lake {self._target.name}",
                advice=f"Its classes are {', '.join(map(repr, known[:20]))}. Rename classes with map "
                "(--map old=new), or leave some out: classes (--classes) names those to import",
            )
        self._label_of = np.array([known.index(name) for name in names], np.int64)

    def fit(self, taken: TakenImage) -> TakenImage | tuple[str, str]:
        """Make an image a row of the lake.

        An image that the lake has under the same file name, with the same bytes, is refused; so is one whose
        id is a text that the lake has. Numbers that it has give way to the next ones. A column that the
        source lacks is filled with what its absence means: no mask, no flag, the area of the mask or of the
        box, the next ids.

        Args:
            taken: The image, with labels and boxes of the source.

        Returns:
            The image, without boxes that are refused as the lake cannot say what they are; or reason and
            detail why the whole image is refused.
        """
        record, changes = taken.record, list(taken.mask_changes)
        for row in self._names.find(record.file_name):
            if self._target.image(row) == record.image:
                return "image is in the lake already", f"row {row}"
            change = "file name is that of another image in the lake"
            changes.append(("image", change, f"{record.file_name!r}, row {row}"))
        if "image_source_id" in self._lake.columns:
            stated = record.image_id if record.image_source_id is None else record.image_source_id
            if stated is not None and hash(json.dumps(stated)) in self._source_ids:
                return "image id is that of another image in the lake", repr(stated)
        sound, refused = self._sound(record)
        if refused:
            record = _only(record, sound)
        if record.segmentations is not None and "segmentations" not in self._lake.columns:
            lost = sum(mask is not None and mask != [] for mask in record.segmentations)
            if lost:
                reason = "masks are left out, as the lake has no column for them"
                changes.append(("mask", reason, f"{lost} masks"))
        values: dict[str, Any] = dict.fromkeys(OPTIONAL_COLUMNS)
        values |= self._ids(record, changes)
        for name in self._lake.columns:
            if values[name] is None:
                given = getattr(record, name)
                values[name] = self._filled(name, record) if given is None else given
        record = replace(record, labels=self._label_of[record.labels], boxes=self._boxes(record), **values)
        return replace(taken, record=record, mask_changes=changes, refused=tuple(refused))

    def _sound(self, record: ImageRecord) -> tuple[NDArray[np.bool_], list[tuple[str, str]]]:
        """Which boxes the lake can hold, and why not the others."""
        sound = np.ones(len(record.boxes), bool)
        refused = []
        for name in _FLAGS:
            flags = getattr(record, name)
            if flags is not None and name not in self._lake.columns:
                for place in np.flatnonzero(np.asarray(flags, bool) & sound):
                    reason = f"object has a flag that the lake has no column for ({name})"
                    refused.append((reason, f"object {place + 1}, box {record.boxes[place].tolist()}"))
                    sound[place] = False
        return sound, refused

    def _ids(self, record: ImageRecord, changes: list[tuple[str, str, str]]) -> dict[str, Any]:
        """The ids of the image and its objects in the lake."""
        values: dict[str, Any] = {}
        number, source_id = record.image_id, record.image_source_id
        if "image_source_id" in self._lake.columns:
            source_id = number if source_id is None else source_id
            number = None
        if self._image_ids is not None:
            # Where the ids are texts the numbers only count.
            stated = number if record.image_source_id is None else None
            values["image_id"] = self._image_ids.give(stated)
            if stated is not None and values["image_id"] != stated:
                detail = f"{stated}, now {values['image_id']}"
                changes.append(("image", "image id is taken in the lake; another is given", detail))
        if "image_source_id" in self._lake.columns:
            given = values["image_id"] if source_id is None else source_id
            values["image_source_id"] = given
        if self._object_ids is not None:
            stated_ids: list[int | None] = [None] * len(record.boxes)
            if record.annotation_ids is not None and record.annotation_source_ids is None:
                stated_ids = np.asarray(record.annotation_ids).tolist()
            found = [self._object_ids.give(one) for one in stated_ids]
            other = [
                f"{one}, now {new}"
                for one, new in zip(stated_ids, found, strict=True)
                if one is not None and one != new
            ]
            reason = "annotation id is taken in the lake; another is given"
            changes.extend(("box", reason, detail) for detail in other)
            values["annotation_ids"] = np.array(found, np.int64)
        return values

    def _filled(self, column: str, record: ImageRecord) -> Any:
        """What stands in a column that the source does not fill."""
        count = len(record.boxes)
        if column in _FLAGS:
            return np.zeros(count, np.uint8)
        if column == "image_remainder":
            return {}
        if column == "areas":
            boxes = to_xywh(record.boxes, self.box_format, record.width, record.height)
            areas = boxes[:, 2] * boxes[:, 3]
            for place, mask in enumerate(record.segmentations or ()):
                areas[place] = mask_area(mask, (record.width, record.height)) or areas[place]
            return areas
        return [None] * count  # masks, ids and remainders

    def _boxes(self, record: ImageRecord) -> NDArray[np.float64]:
        if str(self.box_format) == str(BoxFormat.parse(self._lake.box_format)):
            return record.boxes
        convert = to_xywh if self._lake.box_format == "ltwh" else to_xyxy
        return convert(record.boxes, self.box_format, record.width, record.height)


class _Ids:
    """Ids in a lake, and those that are given to new rows."""

    def __init__(self, target: AppendTarget, column: str) -> None:
        self._known = target.numbers(column)
        self.next = int(self._known[-1]) + 1 if len(self._known) else 1

    def give(self, stated: int | None) -> int:
        """The id as stated, if the lake has it not; else the next one that neither it nor the source has."""
        if stated is not None:
            place = int(np.searchsorted(self._known, stated))
            if place == len(self._known) or self._known[place] != stated:
                return stated
        if self.next > _LARGEST:
            raise AnnotationError("There is no id left after the largest one, which fills 64 bits")
        self.next += 1
        return self.next - 1


class _NameIndex:
    """Rows of a lake by file name: 16 bytes for each."""

    def __init__(self, target: AppendTarget) -> None:
        self._target = target
        blocks = [np.array([hash(name) for name in block], np.int64) for block in target.values("file_name")]
        unsorted = np.concatenate(blocks or [np.zeros(0, np.int64)])
        self._rows = np.argsort(unsorted, kind="stable")
        self._hashes = unsorted[self._rows]

    def find(self, name: str) -> list[int]:
        """The rows whose images are called so."""
        key = np.int64(hash(name))
        first, end = (int(np.searchsorted(self._hashes, key, side)) for side in ("left", "right"))
        return [row for row in self._rows[first:end].tolist() if self._target.file_name(row) == name]


_PER_BOX = ("boxes", "labels", *(name for name in OPTIONAL_COLUMNS if not name.startswith("image_")))


def _only(record: ImageRecord, sound: NDArray[np.bool_]) -> ImageRecord:
    """The record with some of its objects alone."""
    kept: dict[str, Any] = {}
    for name in _PER_BOX:
        values = getattr(record, name)
        if isinstance(values, list):
            kept[name] = [value for value, keep in zip(values, sound, strict=True) if keep]
        elif values is not None:
            kept[name] = np.asarray(values)[sound]
    return replace(record, **kept)
