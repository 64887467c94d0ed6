"""The common part of every import: planned images in, rows and a summary out."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.errors import AnnotationError, ConfigError
from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.writing.shard_target import ShardTarget, open_shard
from deeplake_mmdet.lake.writing.writer import LakeWriter, check_target
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.transfer.ahead import blocks_of_files, read_ahead
from deeplake_mmdet.transfer.appending import Appending, open_appending
from deeplake_mmdet.transfer.encodings import Encoding
from deeplake_mmdet.transfer.frames import EXIF_MODES
from deeplake_mmdet.transfer.image_files import shown
from deeplake_mmdet.transfer.image_notes import ImageNotes
from deeplake_mmdet.transfer.images import VERIFY_MODES
from deeplake_mmdet.transfer.summary import Finding, ImportSummary
from deeplake_mmdet.transfer.taking import PlannedImage, TakenImage, Taker

__all__ = ["PlannedImage", "check_options", "open_places", "run_import"]

_SWITCHING = 0.0005  # seconds after which a thread hands Python's interpreter over


def check_options(exif: str, verify: str, workers: int | None, limit: int | None = None) -> None:
    """Check options that all imports have.

    Args:
        exif: Must be among `EXIF_MODES`.
        verify: Must be among `VERIFY_MODES`.
        workers: Must be a positive integer or None.
        limit: Must be a positive integer or None.

    Raises:
        ConfigError: One of them is not.
    """
    for name, value, choices in (("exif", exif, EXIF_MODES), ("verify", verify, VERIFY_MODES)):
        if value not in choices:
            raise ConfigError(
                f"{name!r} is {value!r}", where=name, advice=f"Choose from {', '.join(choices)}"
            )
    for name, number, meant in (
        ("workers", workers, "one thread per core"),
        ("limit", limit, "all images"),
    ):
        if number is not None and (type(number) is not int or number < 1):
            advice = f"Give a positive whole number, or None for {meant}"
            raise ConfigError(f"{name!r} is {number!r}", where=name, advice=advice)


def open_places(
    lake: str | Path,
    *,
    shard: Any,
    append: bool,
    overwrite: bool,
    creds: Mapping[str, str] | None,
    arguments: Mapping[str, Any],
) -> tuple[ShardTarget | None, Appending | None]:
    """Look where the rows are to go, before anything is read: into a shard, or a lake that stands.

    Args:
        lake: Folder or address of the lake.
        shard, append, overwrite, creds: As every import takes them.
        arguments: See `open_shard`.

    Returns:
        Both None for a new lake of all rows.

    Raises:
        ConfigError: Arguments do not go together.
        ImportRefusedError: Something stands there that rows cannot be written into.
        StorageError, CredentialError: The storage failed or refused access.
    """
    into = open_shard(lake, shard, append, overwrite, creds, arguments)
    appending = open_appending(lake, append, overwrite, creds)
    if into is None and appending is None:
        check_target(os.fspath(lake), overwrite=overwrite, creds=creds)
    return into, appending


def run_import(
    plan: Iterable[PlannedImage],
    total: int,
    writer: LakeWriter,
    summary: ImportSummary,
    *,
    encoding: Encoding,
    progress: bool,
    exif: str = "auto",
    verify: str = "decode",
    workers: int | None = None,
    appending: Appending | None = None,
    shard: ShardTarget | None = None,
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
        verify: See `read_image`.
        workers: Threads that read and check images; by default one per core.
        appending: The lake that stands and gets the rows; None for a new one.
        shard: The shard whose images alone are imported; None for all.

    Raises:
        AnnotationError: Every image was refused, or every box; nothing is left behind.
        ImportRefusedError, StorageError: As `LakeWriter` raises them.
    """
    start = time.monotonic()
    if shard is not None:
        shard.arguments |= {"images": total, "classes": list(summary.class_counts)}
        span = shard.shard.span(total)
        plan, total = islice(plan, span.start, span.stop), len(span)
        summary.shard = str(shard.shard)
    if appending is not None:
        summary.class_counts = dict.fromkeys(appending.class_names, 0)
    # By label, not by name: one bincount per block, whatever the number of classes.
    counts = np.zeros(len(summary.class_counts), np.int64)
    if appending is not None and verify == "none":
        verify = "header"  # the lake's readers trust its sizes
    notes = ImageNotes(encoding, exif, verify)
    box_format = BoxFormat.parse(writer.box_format) if appending is None else appending.box_format
    taker = Taker(encoding, exif, verify, box_format)

    def take(block: list[PlannedImage]) -> list[TakenImage | tuple[str, str]]:
        return [taker.take(planned) for planned in block]

    bar = Progress("Importing", total, shown=progress)
    blocks = blocks_of_files(plan, lambda planned: None if planned.fault else planned.path)
    ahead = contextlib.closing(read_ahead(blocks, take, workers))
    with writer, bar, _quick_switching(), ahead as taken:
        for block, results in taken:
            labels = []
            for planned, result in zip(block, results, strict=True):
                if appending is not None and isinstance(result, TakenImage):
                    result = appending.fit(result)
                if isinstance(result, TakenImage):
                    writer.append(result.record)
                    labels.append(result.record.labels)
                    notes.add(result.image, result.frame, len(result.record.image))
                    _count(planned, result, summary)
                else:
                    file = planned.file if planned.fault else shown(planned.path)
                    summary.refusals.add(Finding("image", file, *result))
                    summary.lost_with_images += len(planned.fields.get("boxes", ())) + len(planned.refused)
            if labels:
                counts += np.bincount(np.concatenate(labels), minlength=len(counts))
            bar.advance(len(block))
        if not writer.rows and shard is None:
            raise _nothing_left(summary, f"None of the {total} images", appending is not None)
        lost = summary.refused_boxes + summary.lost_with_images
        if lost and not summary.boxes and shard is None:
            raise _nothing_left(summary, f"None of the {lost} boxes", appending is not None)
        writer.facts |= {"verify": verify, "images_not_decoded": notes.not_decoded}
    summary.lake = writer.path
    summary.not_decoded = notes.not_decoded
    summary.class_counts = dict(zip(summary.class_counts, counts.tolist(), strict=True))
    summary.notes += [*notes.sentences(), *writer.notes]
    if appending is not None:
        summary.rows = appending.rows
        summary.notes += appending.notes
    summary.seconds = time.monotonic() - start


@contextlib.contextmanager
def _quick_switching() -> Iterator[None]:
    """Have threads hand Python's interpreter over sooner.

    One that has checked an image needs it for some microseconds before it can go on, and would wait for it
    as long as the main thread is busy with rows.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCHING))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _count(planned: PlannedImage, taken: TakenImage, summary: ImportSummary) -> None:
    boxes = len(taken.record.boxes)
    summary.images += 1
    summary.boxes += boxes
    summary.empty_images += boxes == 0
    refused = (*planned.refused, *taken.refused)
    summary.emptied_images += boxes == 0 and bool(refused)
    for reason, detail in taken.changes():
        summary.changes.add(Finding("image", shown(planned.path), reason, detail))
    file = planned.file or shown(planned.path)
    for reason, detail in refused:
        summary.refusals.add(Finding("box", file, reason, detail))
    for kind, reason, detail in (*planned.changes, *taken.mask_changes):
        summary.changes.add(Finding(kind, file, reason, detail))


def _nothing_left(summary: ImportSummary, what: str, appends: bool) -> AnnotationError:
    written = "the lake is as it was" if appends else "no lake was written"
    reasons = "; ".join(f"{reason}: {count}" for (_, reason), count in summary.refusals.counts.most_common(5))
    first = summary.refused[0] if summary.refused else None
    return AnnotationError(
        f"{what} can be imported ({reasons})",
        where=f"first: {first.file} {first.detail}".rstrip() if first else summary.source,
        advice=f"Check the image folder and the annotation file; {written}",
    )
