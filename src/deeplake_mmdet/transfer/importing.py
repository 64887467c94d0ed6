"""The common part of every import: planned images in, rows and a summary out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deeplake_mmdet.errors import AnnotationError, ConfigError, ImageError
from deeplake_mmdet.lake.schema.boxes import BoxFormat, to_xyxy
from deeplake_mmdet.lake.writing.writer import ImageRecord, LakeWriter
from deeplake_mmdet.terminal import console
from deeplake_mmdet.transfer.encodings import Encoding
from deeplake_mmdet.transfer.frames import EXIF_MODES, Frame, choose_frame
from deeplake_mmdet.transfer.image_notes import ImageNotes
from deeplake_mmdet.transfer.images import ReadImage, convert_to_png, read_ahead, read_image
from deeplake_mmdet.transfer.masks import settle_masks
from deeplake_mmdet.transfer.summary import Finding, ImportSummary

__all__ = ["PlannedImage", "check_exif", "run_import"]


@dataclass(frozen=True, eq=False)
class PlannedImage:
    """One image to be imported.

    Attributes:
        path: The image file.
        size: ``(width, height)`` in pixels as the annotations have it, or ``None``.
        fields: `ImageRecord`'s fields but for the image and its size.
        refused: ``(reason, detail)`` of each box that is left out.
        changes: ``(kind, reason, detail)`` of what is imported otherwise than the files say; see `Finding`.
        file: The annotation file of this image, if it has one of its own; refused boxes are named by it.
        fault: Reason and detail why the whole image is refused before it is read, or ``None``.
    """

    path: Path
    size: tuple[int, int] | None
    fields: dict[str, Any] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, str, str], ...] = ()
    file: str = ""
    fault: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Taken:
    """An image as the lake will hold it, ``data``, and what it was."""

    data: bytes
    image: ReadImage
    frame: Frame

    @property
    def is_converted(self) -> bool:
        return self.data is not self.image.data


def check_exif(exif: str) -> None:
    """Refuse a value that is not one of `EXIF_MODES`.

    Raises:
        ConfigError: As said.
    """
    if exif not in EXIF_MODES:
        raise ConfigError(f"'exif' is {exif!r}", where="exif", advice=f"Choose from {', '.join(EXIF_MODES)}")


def run_import(
    plan: Iterable[PlannedImage],
    total: int,
    writer: LakeWriter,
    summary: ImportSummary,
    *,
    encoding: Encoding,
    progress: bool,
    exif: str = "auto",
    workers: int | None = None,
) -> None:
    """Read, check and append every planned image, then commit; fills ``summary``.

    Args:
        plan: The images.
        total: How many there are.
        writer: Of the lake, with ``encoding.format`` for its images.
        summary: Is filled; ``class_counts`` names the classes already.
        encoding: See `choose_encoding`.
        progress: Whether to draw a progress bar on stderr.
        exif: See `choose_frame`.
        workers: Threads that read and check images; by default one per core, at most 8.

    Raises:
        AnnotationError: Every image was refused, or every box; nothing is left behind.
        ImportRefusedError, StorageError: As `LakeWriter` raises them.
    """
    start = time.monotonic()
    # By label, not by name: one bincount per image, whatever the number of classes.
    counts = np.zeros(len(summary.class_counts), np.int64)

    notes = ImageNotes(encoding, exif)
    box_format = BoxFormat.parse(writer.box_format)

    def read(planned: PlannedImage) -> _Taken | tuple[str, str]:
        return _read(planned, encoding, exif, box_format)

    bar = Progress(
        TextColumn("Importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True, soft_wrap=False),
        disable=not progress,
    )
    with writer, bar:
        task = bar.add_task("", total=total)
        for planned, result in read_ahead(plan, read, workers):
            if isinstance(result, _Taken):
                width, height = result.frame.size
                fields, masks = settle_masks(planned.fields, (height, width))
                writer.append(_record(fields, result))
                notes.add(result.image, result.frame, len(result.data))
                for reason, detail in _changes(result):
                    summary.changes.add(Finding("image", str(planned.path), reason, detail))
                counts += np.bincount(planned.fields["labels"], minlength=len(counts))
                _count(planned, masks, summary)
            else:
                file = planned.file if planned.fault else str(planned.path)
                summary.refusals.add(Finding("image", file, *result))
                summary.lost_with_images += len(planned.fields.get("boxes", ())) + len(planned.refused)
            bar.advance(task)
        if not writer.rows:
            raise _nothing_left(summary, f"None of the {total} images")
        lost = summary.refused_boxes + summary.lost_with_images
        if lost and not summary.boxes:
            raise _nothing_left(summary, f"None of the {lost} boxes")
    summary.lake = writer.path
    summary.class_counts = dict(zip(summary.class_counts, counts.tolist(), strict=True))
    summary.notes += [*notes.sentences(), *writer.notes]
    summary.seconds = time.monotonic() - start


def _read(
    planned: PlannedImage, encoding: Encoding, exif: str, box_format: BoxFormat
) -> _Taken | tuple[str, str]:
    if planned.fault is not None:
        return planned.fault
    try:
        image = read_image(planned.path, encoding.format, convert=encoding.convert)
        boxes = to_xyxy(planned.fields["boxes"], box_format, image.width, image.height)
        stored = image.width, image.height
        masks = _mask_sizes(planned.fields)
        frame = choose_frame(stored, image.orientation, planned.size, boxes, exif, mask_sizes=masks)
        data = image.data if image.kind == encoding.format else convert_to_png(image, frame.turned)
    except ImageError as error:
        detail = (error.where or "").removeprefix(str(planned.path)).strip()
        return error.what, detail
    return _Taken(data, image, frame)


def _mask_sizes(fields: Mapping[str, Any]) -> set[tuple[int, int]]:
    """Widths and heights that the run lengths among an image's masks state."""
    sizes = [mask.get("size") for mask in fields.get("segmentations") or () if isinstance(mask, dict)]
    pairs = [size for size in sizes if isinstance(size, list) and len(size) == 2]
    return {(width, height) for height, width in pairs if isinstance(height, int) and isinstance(width, int)}


def _record(fields: Mapping[str, Any], taken: _Taken) -> ImageRecord:
    width, height = taken.frame.size
    # Pixels that were converted are turned already, and their PNG has no EXIF orientation.
    turned_by = taken.image.orientation if taken.frame.turned and not taken.is_converted else 0
    return ImageRecord(taken.data, width, height, exif_turned=turned_by, **fields)


def _changes(taken: _Taken) -> Iterator[tuple[str, str]]:
    yield from taken.frame.changes
    if taken.is_converted:
        sizes = f"{len(taken.image.data)} bytes, now {len(taken.data)}"
        yield f"{taken.image.kind.upper()} converted to PNG without loss", sizes


def _count(planned: PlannedImage, masks: Iterable[tuple[str, str, str]], summary: ImportSummary) -> None:
    boxes = len(planned.fields["boxes"])
    summary.images += 1
    summary.boxes += boxes
    summary.empty_images += boxes == 0
    summary.emptied_images += boxes == 0 and bool(planned.refused)
    file = planned.file or str(planned.path)
    for reason, detail in planned.refused:
        summary.refusals.add(Finding("box", file, reason, detail))
    for kind, reason, detail in (*planned.changes, *masks):
        summary.changes.add(Finding(kind, file, reason, detail))


def _nothing_left(summary: ImportSummary, what: str) -> AnnotationError:
    reasons = "; ".join(f"{reason}: {count}" for (_, reason), count in summary.refusals.counts.most_common(5))
    first = summary.refused[0] if summary.refused else None
    return AnnotationError(
        f"{what} can be imported ({reasons})",
        where=f"first: {first.file} {first.detail}".rstrip() if first else summary.source,
        advice="Check the image folder and the annotation file; no lake was written",
    )
