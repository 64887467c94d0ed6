"""The common part of every import: planned images in, rows and a summary out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deeplake_mmdet.errors import AnnotationError, ImageError
from deeplake_mmdet.lake.writer import ImageRecord, LakeWriter
from deeplake_mmdet.transfer.images import StoredImage, read_ahead, read_image
from deeplake_mmdet.transfer.summary import Finding, ImportSummary

__all__ = ["PlannedImage", "run_import"]


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


def run_import(
    plan: Iterable[PlannedImage],
    total: int,
    writer: LakeWriter,
    summary: ImportSummary,
    *,
    encoding: str,
    progress: bool,
    workers: int | None = None,
) -> None:
    """Read, check and append every planned image, then commit; fills ``summary``.

    Raises:
        AnnotationError: Every image was refused; nothing is left behind.
        ImportRefusedError, StorageError: As `LakeWriter` raises them.
    """
    start = time.monotonic()
    # By label, not by name: one bincount per image, whatever the number of classes.
    counts = np.zeros(len(summary.class_counts), np.int64)

    def read(planned: PlannedImage) -> StoredImage | tuple[str, str]:
        return _read(planned, encoding)

    bar = Progress(
        TextColumn("Importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    with writer, bar:
        task = bar.add_task("", total=total)
        for planned, result in read_ahead(plan, read, workers):
            if isinstance(result, StoredImage):
                writer.append(
                    ImageRecord(image=result.data, width=result.width, height=result.height, **planned.fields)
                )
                counts += np.bincount(planned.fields["labels"], minlength=len(counts))
                _count(planned, summary)
            else:
                file = planned.file if planned.fault else str(planned.path)
                summary.refusals.add(Finding("image", file, *result))
                summary.lost_with_images += len(planned.fields.get("boxes", ())) + len(planned.refused)
            bar.advance(task)
        if not writer.rows:
            raise _nothing_left(summary, total)
    summary.lake = writer.path
    summary.class_counts = dict(zip(summary.class_counts, counts.tolist(), strict=True))
    summary.notes += writer.notes
    summary.seconds = time.monotonic() - start


def _read(planned: PlannedImage, encoding: str) -> StoredImage | tuple[str, str]:
    if planned.fault is not None:
        return planned.fault
    try:
        image = read_image(planned.path, encoding)
    except ImageError as error:
        detail = (error.where or "").removeprefix(str(planned.path)).strip()
        return error.what, detail
    if planned.size is not None and planned.size != (image.width, image.height):
        stated = f"{planned.size[0]} x {planned.size[1]} stated, {image.width} x {image.height} stored"
        return "size differs from the annotation", stated
    return image


def _count(planned: PlannedImage, summary: ImportSummary) -> None:
    boxes = len(planned.fields["boxes"])
    summary.images += 1
    summary.boxes += boxes
    summary.empty_images += boxes == 0
    summary.emptied_images += boxes == 0 and bool(planned.refused)
    file = planned.file or str(planned.path)
    for reason, detail in planned.refused:
        summary.refusals.add(Finding("box", file, reason, detail))
    for kind, reason, detail in planned.changes:
        summary.changes.add(Finding(kind, file, reason, detail))


def _nothing_left(summary: ImportSummary, total: int) -> AnnotationError:
    reasons = "; ".join(f"{reason}: {count}" for (_, reason), count in summary.refusals.counts.items())
    first = summary.refused[0] if summary.refused else None
    return AnnotationError(
        f"None of the {total} images can be imported ({reasons})",
        where=f"first: {first.file} {first.detail}".rstrip() if first else summary.source,
        advice="Check the image folder and the annotation file; no lake was written",
    )
