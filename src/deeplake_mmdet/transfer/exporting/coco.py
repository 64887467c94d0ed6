"""Export as COCO: what was imported from COCO comes back as it was."""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.formats.coco_file import CocoAnnotation
from deeplake_mmdet.formats.coco_remainder import parts_of, with_remainder
from deeplake_mmdet.formats.coco_values import Id, IdIndex, read_flag, read_id, read_size
from deeplake_mmdet.formats.segmentation import read_segmentation
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.transfer.coco_objects import settle_area, settle_box
from deeplake_mmdet.transfer.exporting.pictures import Pictures, usable_name
from deeplake_mmdet.transfer.exporting.reading import Block, ExportedLake
from deeplake_mmdet.transfer.exporting.running import run_export
from deeplake_mmdet.transfer.exporting.summary import ExportSummary

__all__ = ["export_coco"]

_ENCODE = json.JSONEncoder().encode
_FILE, _RESULTS = "annotations.json", "predictions.json"


def export_coco(
    lake: str | Path,
    folder: str | Path,
    *,
    images: str = "copy",
    commit: str | None = None,
    branch: str | None = None,
    tag: str | None = None,
    view: str | None = None,
    query: str | None = None,
    predictions: str | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Sequence[str] | None = None,
    creds: Mapping[str, str] | None = None,
    progress: bool = True,
) -> ExportSummary:
    """Write a lake as a COCO file, ``FOLDER/annotations.json``, and its images, ``FOLDER/images/``.

    Boxes are ``[x, y, width, height]`` in pixels, numbers as the lake has them. What `import_coco` took from
    a COCO file comes back as it was: ids, areas, crowd flags, segmentations, ``info``, ``licenses`` and all
    extra fields of images, annotations and categories. The order of annotations is that of their images. What
    has been changed in the lake since then counts, not what the file said. Where a lake has no ids, image ids
    are row numbers from 0, those of categories and annotations begin with 1; ``area`` is that of the mask,
    else of the box. ``difficult`` objects have a field of that name.

    Image files are byte for byte those of the lake, under their own names. Annotations mean the images as
    readers that go by EXIF see them, as MMDetection's do: where a lake's boxes belong to the stored pixels
    of an image whose EXIF orientation turns it, that one tag is set to upright in the copy.

    With ``predictions``, ``FOLDER/predictions.json`` holds COCO results: a list of ``image_id``,
    ``category_id``, ``category_name``, ``bbox``, ``score`` and, with masks, ``segmentation``.

    Args:
        lake: Folder or address of the lake.
        folder: Folder to write, absent or empty.
        images: ``'copy'``; ``'link'``, symbolic links, for lakes that hold links to local files; ``'none'``.
        commit, branch, tag, view, query: Which version and rows, as of `DeepLakeDataset`.
        predictions: Id of a run whose predictions are exported in place of the truth.
        tensors, box_format, classes: As of `DeepLakeDataset`; boxes of other classes are not exported.
        creds: Storage options for the lake.
        progress: Whether to draw a progress bar on stderr.

    Returns:
        What was exported, left out and changed.

    Raises:
        ConfigError: Arguments contradict each other, or images cannot be linked.
        ImportRefusedError: The folder is not empty.
        SourceNotFoundError: There is no such lake, version, view or run.
        StorageError: The lake cannot be read or the folder not be written; nothing is left behind then.
        DeepLakeMMDetError: The lake cannot be opened, see `DeepLakeDataset`.
    """
    return run_export(
        "coco",
        lake,
        folder,
        lambda *given: _Writer(*given[:-1]).write(given[-1]),
        last=_FILE if predictions is None else _RESULTS,
        image_folder="images",
        images=images,
        progress=progress,
        commit=commit,
        branch=branch,
        tag=tag,
        view=view,
        query=query,
        predictions=predictions,
        tensors=tensors,
        box_format=box_format,
        classes=classes,
        creds=creds,
    )


class _Writer:
    """Writes images and annotations side by side, one image at a time."""

    def __init__(
        self, opened: ExportedLake, folder: Path, pictures: Pictures, summary: ExportSummary
    ) -> None:
        self._lake, self._folder, self._pictures, self._summary = opened, folder, pictures, summary
        table = opened.view.table
        self._row_ids = _why_row_ids(opened)
        self._has_ids = "annotation_ids" in opened.extra
        self._ids = array("q")  # of annotations: eight bytes for each
        self._written = 0
        self._without_id = 0
        self._table = table

    def write(self, progress: bool) -> None:
        """Write everything."""
        if self._lake.run is not None:
            with (self._folder / _RESULTS).open("w", encoding="ascii") as file:
                file.write("[")
                self._write_rows(None, file, progress)
                file.write("\n]\n")
            self._notes()
            return
        part = self._folder / "annotations.part"
        with (self._folder / _FILE).open("w", encoding="ascii") as file, part.open("w+b") as objects:
            others = self._lake.facts.get("others")
            file.write("{")
            for key, value in others.items() if isinstance(others, dict) else ():
                file.write(f"\n{_ENCODE(key)}: {_ENCODE(value)},")
            file.write('\n"images": [')
            self._write_rows(file, objects, progress)
            file.write('\n],\n"annotations": [')
            file.flush()
            objects.seek(0)
            shutil.copyfileobj(objects, file.buffer)
            file.write('\n],\n"categories": [')
            file.write(",".join(f"\n{_ENCODE(entry)}" for entry in self._categories()))
            file.write("\n]\n}\n")
        part.unlink()
        self._notes()

    def _categories(self) -> list[dict[str, Any]]:
        view, kept = self._lake.view, self._lake.facts.get("categories")
        entries = []
        for number, name in zip(self._lake.category_ids, view.classes, strict=True):
            place = view.lake_classes.index(name)
            sound = isinstance(kept, list) and len(kept) == len(view.lake_classes)
            remainder = kept[place] if sound and kept else None
            stated = parts_of(remainder)[0].get("name")
            renamed = stated is not None and str(stated) != name
            read = {"id": number, "name": name}
            entries.append(with_remainder(read, remainder, {"id", "name"} if renamed else {"id"}))
        return entries

    def _write_rows(self, images: IO[str] | None, objects: IO[Any], progress: bool) -> None:
        first_image = True
        with Progress("Exporting", len(self._table), shown=progress) as bar:
            for block in self._lake.blocks():
                files: Sequence[Any] = [None] * len(block.rows)
                if self._pictures.are_written:
                    files = self._pictures.read(block.rows)
                for place, row in enumerate(block.rows):
                    image = self._image(block, place, files[place])
                    if image is None:
                        continue
                    self._summary.images += 1
                    if images is not None:
                        images.write(f"{'' if first_image else ','}\n{_ENCODE(image)}")
                        first_image = False
                    texts = []
                    for entry in self._objects(block, place, self._id_of(row)):
                        texts.append(f"{',' if self._written else ''}\n{_ENCODE(entry)}")
                        self._written += 1
                    text = "".join(texts)
                    objects.write(text if images is None else text.encode("ascii"))
                bar.advance(len(block.rows))

    def _id_of(self, row: int) -> Id:
        return row if self._row_ids else self._table.image_id(row)

    def _image(self, block: Block, place: int, found: Any) -> dict[str, Any] | None:
        """The entry of an image, whose file is written; None if it is left out."""
        row, name = block.rows[place], block.names[place]
        shown = name or f"row {row}"
        if isinstance(found, ImageError):
            self._leave_out(row, shown, found.what)
            return None
        width, height = int(self._table.widths[row]), int(self._table.heights[row])
        if not width or not height:
            self._leave_out(row, shown, "image cannot be decoded, so that its size is not known")
            return None
        remainder = self._cell(block, "image_remainder", place)
        has = parts_of(remainder)[0]
        stated = has.get("file_name", name)
        wanted = stated if isinstance(stated, str) and stated else name
        data, link = (None, None) if found is None else found
        written = usable_name(wanted, row, data, self._pictures.ending)
        if data is not None:
            written = self._pictures.write(row, written, data, link, shared=True)
        known = {"id"}
        if written != wanted:
            known.add("file_name")
            if wanted is not None:
                self._summary.change("image", shown, "file has another name", f"{written!r}")
        if has.keys() & {"width", "height"}:
            size = read_size(has.get("width"), has.get("height"))[0]
            if size not in (None, (width, height)):
                known |= {"width", "height"}
        read = {"id": self._id_of(row), "file_name": written, "width": width, "height": height}
        return with_remainder(read, remainder, known)

    def _leave_out(self, row: int, name: str, reason: str) -> None:
        boxes = self._table.span(row)
        self._summary.leave_out("image", name, reason, f"row {row}, {boxes.stop - boxes.start} boxes")

    def _cell(self, block: Block, column: str, place: int) -> Any:
        return block.extra[column][place] if column in block.extra else None

    def _objects(self, block: Block, place: int, image_id: Id) -> list[dict[str, Any]]:
        row, table, view, summary = block.rows[place], self._table, self._lake.view, self._summary
        span = table.span(row)
        count = span.stop - span.start
        masks: Sequence[Any] = block.masks[place] or [None] * count
        if row in block.faults:
            name = block.names[place] or f"row {row}"
            summary.leave_out("mask", name, "masks of a row cannot be used", block.faults[row])
        ids = self._annotation_ids(block, place, count)
        remainders = self._cell(block, "annotation_remainders", place)
        if not isinstance(remainders, list) or len(remainders) != count:
            remainders = [None] * count
        size = int(table.widths[row]), int(table.heights[row])
        boxes = table.xywh(row).tolist()
        entries = []
        for at, label in enumerate(view.labels[span].tolist()):
            if label < 0:
                continue
            box = [_whole(x) for x in boxes[at]]
            entry: dict[str, Any] = {"image_id": image_id, "category_id": self._lake.category_ids[label]}
            number = span.start + at
            summary.boxes += 1
            summary.masks += bool(masks[at])
            if block.scores is not None:
                entry |= {"category_name": view.classes[label], "bbox": box}
                entry["score"] = float(block.scores[place][at])
                if masks[at] is not None:
                    entry["segmentation"] = masks[at]
                entries.append(entry)
                continue
            if ids[at] is not None:
                entry = {"id": ids[at], **entry}
            crowd = int(table.iscrowd is not None and bool(table.iscrowd[number]))
            entry["bbox"] = box
            entry["area"] = self._area(number, box, masks[at], size)
            entry["iscrowd"] = crowd
            if table.ignore is not None and table.ignore[number]:
                entry["ignore"] = 1
            if table.difficult is not None and table.difficult[number]:
                entry["difficult"] = 1
            if masks[at] is not None:
                entry["segmentation"] = masks[at]
            entries.append(self._as_it_was(entry, remainders[at], size))
        return entries

    def _area(self, number: int, box: list[float], mask: Any, size: tuple[int, int]) -> float:
        if self._table.areas is not None:
            return _whole(float(self._table.areas[number]))
        return _whole(settle_area(_annotation({"bbox": box, "segmentation": mask}), box, size)[0])

    def _as_it_was(self, entry: dict[str, Any], remainder: Any, size: tuple[int, int]) -> dict[str, Any]:
        """The entry as the file had it, where that still means what the lake holds."""
        if not remainder:
            return entry
        before = with_remainder(entry, remainder)
        has, lacks = parts_of(remainder)
        odd = _SETTLED.intersection((*has, *lacks))
        return with_remainder(entry, remainder, _differing(odd, before, entry, size)) if odd else before

    def _annotation_ids(self, block: Block, place: int, count: int) -> Sequence[Any]:
        stated = self._cell(block, "annotation_source_ids", place)
        if isinstance(stated, list) and len(stated) == count:
            self._without_id += stated.count(None)
            return stated
        if self._has_ids:
            ids = np.asarray(block.extra["annotation_ids"][place]).reshape(-1)
            if len(ids) == count:
                self._ids.extend(ids.tolist())
                return list(ids.tolist())
        first = self._table.span(block.rows[place]).start + 1
        return range(first, first + count)

    def _notes(self) -> None:
        lake, notes = self._lake, self._summary.notes
        if self._row_ids:
            notes.append(f"The lake {self._row_ids}: row numbers from 0 are their ids")
        if lake.made_category_ids:
            notes.append("The lake has no ids of categories: they are numbered from 1")
        if lake.run is None:
            if not self._has_ids and "annotation_source_ids" not in lake.extra and self._written:
                notes.append("The lake has no ids of annotations: they are numbered from 1")
            if self._without_id:
                notes.append(f"{self._without_id} annotations have no id, as in the file they came from")
            ids = np.array(self._ids, np.int64)
            repeated = len(ids) - len(np.unique(ids))
            if repeated:
                notes.append(f"{repeated} annotations repeat the id of another one, as in the lake")


_SETTLED = frozenset(("image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "segmentation"))


def _annotation(entry: Mapping[str, Any]) -> CocoAnnotation:
    return CocoAnnotation(0, None, entry.get("bbox"), entry.get("area"), 0, None, entry.get("segmentation"))


def _differing(
    keys: frozenset[str], before: Mapping[str, Any], entry: Mapping[str, Any], size: tuple[int, int]
) -> set[str]:
    """Those keys by which the entry of the file does not mean what the lake holds.

    Args:
        keys: Which to look at.
        before: The entry as the file had it.
        entry: As the lake has it.
        size: Width and height of the image in pixels.
    """
    found = set()
    whole = _annotation(before)
    for key in keys:
        if key in ("image_id", "category_id"):
            number = read_id(before.get(key))
            same = number is not None and IdIndex([entry[key]]).find(number) is not None
        elif key == "bbox":
            same = settle_box(whole)[0] == entry["bbox"]
        elif key == "area":
            same = settle_area(whole, entry["bbox"], size)[0] == entry["area"]
        elif key == "segmentation":
            mask = read_segmentation(before.get(key), (size[1], size[0])).mask
            same = mask == entry.get(key)
        else:
            flag = read_flag(before.get(key))
            same = flag is not None and flag[0] == entry.get(key, 0)
        if not same:
            found.add(key)
    return found


def _whole(number: float) -> int | float:
    """A whole number as one, which takes less room."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _why_row_ids(opened: ExportedLake) -> str | None:
    """Why row numbers are to be the ids of images; None if the lake has sound ones."""
    table = opened.view.table
    if table.img_ids is None and table.source_ids is None:
        return "has no ids of images"
    if table.source_ids is None and table.img_ids is not None:
        return _REPEATED if len(np.unique(table.img_ids)) < len(table) else None
    hashes = np.fromiter((hash(repr(read_id(table.image_id(row)))) for row in range(len(table))), np.int64)
    return _REPEATED if len(np.unique(hashes)) < len(table) else None


_REPEATED = "has the same id for several images"
