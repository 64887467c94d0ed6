"""What exports of one label file per image have in common: VOC and YOLO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake.schema.boxes import corners_of
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.transfer.exporting.pictures import Pictures, usable_name
from deeplake_mmdet.transfer.exporting.reading import Block, ExportedLake
from deeplake_mmdet.transfer.exporting.summary import ExportSummary

__all__ = ["LabelledImage", "labelled_images"]


@dataclass(frozen=True)
class LabelledImage:
    """One image of an export, whose file is written.

    Attributes:
        name: The image file, relative to the folder of images.
        shown: What the lake calls it, for messages.
        width, height: In pixels.
        corners: Left, top, right, bottom in pixels of each box.
        labels: Index into the view's classes.
        masks: COCO segmentations or None, one per box.
        flags: ``'crowd'``, ``'ignore'``, ``'difficult'`` of each box; empty for none.
        scores: Of predictions; None for truth.
        rest: What the image's VOC file said besides (see `rest_of`); None if the lake keeps nothing.
        rests: The same of each box; empty where there is nothing.
    """

    name: str
    shown: str
    width: int
    height: int
    corners: Sequence[Sequence[float]]
    labels: Sequence[int]
    masks: Sequence[Any]
    flags: Sequence[str]
    scores: Sequence[float] | None
    rest: Mapping[str, Any] | None
    rests: Sequence[Mapping[str, Any]]


def labelled_images(
    lake: ExportedLake,
    pictures: Pictures,
    labels: Path,
    ending: str,
    summary: ExportSummary,
    progress: bool,
    *,
    reserved: Sequence[str] = (),
) -> Iterator[LabelledImage]:
    """Write the image files one after the other, and give what their label files are to say.

    No two images get the same label file: one whose name is taken, but for the ending, gets its row number
    behind it.

    Args:
        lake: The lake.
        pictures: Writes the files.
        labels: Folder of the label files; whoever takes an image is to write its file before the next.
        ending: Of label files, ``'.txt'`` say.
        summary: Counts images, and what is left out or changed.
        progress: Whether to draw a progress bar.
        reserved: Names that no folder may have, as readers replace them in paths.
    """
    table = lake.view.table
    with Progress("Exporting", len(table), shown=progress) as bar:
        for block in lake.blocks():
            files: Sequence[Any] = [None] * len(block.rows)
            if pictures.are_written:
                files = pictures.read(block.rows)
            for place, row in enumerate(block.rows):
                shown = block.names[place] or f"row {row}"
                size = int(table.widths[row]), int(table.heights[row])
                found = files[place]
                fault = found.what if isinstance(found, ImageError) else None
                if fault is None and not all(size):
                    fault = "image cannot be decoded, so that its size is not known"
                if fault is not None:
                    span = table.span(row)
                    summary.leave_out("image", shown, fault, f"row {row}, {span.stop - span.start} boxes")
                    continue
                data, link = (None, None) if found is None else found
                name = _apart(
                    usable_name(block.names[place], row, data, pictures.ending, fitting=True), reserved
                )
                name = _free(labels, name, ending, row)
                if data is not None:
                    name = pictures.write(row, name, data, link, shared=False)
                if block.names[place] not in (name, None):
                    summary.change("image", shown, "file has another name", repr(name))
                summary.images += 1
                yield _image(lake, block, place, name, shown, summary)
            bar.advance(len(block.rows))


def _apart(name: str, reserved: Sequence[str]) -> str:
    *folders, last = name.split("/")
    if folders and folders[0].lower() in reserved:
        del folders[0]
    return "/".join([*(f"{part}_" if part.lower() in reserved else part for part in folders), last])


def _free(labels: Path, name: str, ending: str, row: int) -> str:
    """The name, or one like it whose label file does not exist."""
    stem, dot, kind = name.rpartition(".")
    other, number = stem, 0
    while (labels / f"{other}{ending}").exists():
        other = f"{stem}_{row}" + (f"_{number}" if number else "")
        number += 1
    return f"{other}{dot}{kind}"


def _image(
    lake: ExportedLake,
    block: Block,
    place: int,
    name: str,
    shown: str,
    summary: ExportSummary,
) -> LabelledImage:
    view, row = lake.view, block.rows[place]
    table = view.table
    span = table.span(row)
    width, height = int(table.widths[row]), int(table.heights[row])
    if row in block.faults:
        summary.leave_out("mask", shown, "masks of a row cannot be used", block.faults[row])
    kept = np.flatnonzero(view.labels[span] >= 0).tolist()
    corners = corners_of(table.boxes[span], table.box_format, width, height)
    masks = block.masks[place] or [None] * len(corners)
    flags = [""] * len(corners)
    for flag, column in (("difficult", table.difficult), ("ignore", table.ignore), ("crowd", table.iscrowd)):
        for at in [] if column is None else np.flatnonzero(column[span]).tolist():
            flags[at] = flag
    scores = None if block.scores is None else np.asarray(block.scores[place]).reshape(-1)
    rests = block.extra.get("annotation_remainders", [None] * len(block.rows))[place]
    if not isinstance(rests, list) or len(rests) != len(corners):
        rests = [None] * len(corners)
    kept_of_image = block.extra.get("image_remainder", [None] * len(block.rows))[place]
    if isinstance(kept_of_image, dict) and "voc" not in kept_of_image:
        kept_of_image = None  # of another format
    return LabelledImage(
        name,
        shown,
        width,
        height,
        [corners[at] for at in kept],
        view.labels[span][kept].tolist(),
        [masks[at] for at in kept],
        [flags[at] for at in kept],
        None if scores is None else [float(scores[at]) for at in kept],
        _rest_of(kept_of_image) if kept_of_image is not None else None,
        [_rest_of(rests[at]) for at in kept],
    )


def _rest_of(remainder: Any) -> Mapping[str, Any]:
    found = remainder.get("voc") if isinstance(remainder, dict) else None
    return found if isinstance(found, dict) else {}
