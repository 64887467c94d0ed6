"""Import of Pascal VOC folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from deeplake_mmdet.formats.voc import VocObject, VocSplit, load_voc
from deeplake_mmdet.lake.writer import LakeWriter, check_target
from deeplake_mmdet.transfer.encodings import choose_encoding
from deeplake_mmdet.transfer.importing import PlannedImage, check_exif, run_import
from deeplake_mmdet.transfer.summary import ImportSummary

__all__ = ["import_voc"]


def import_voc(
    root: str | Path,
    lake: str | Path,
    *,
    split: str,
    classes: Sequence[str] | None = None,
    exif: str = "auto",
    convert: str = "auto",
    overwrite: bool = False,
    creds: Mapping[str, str] | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> ImportSummary:
    """Import one split of a Pascal VOC folder into a new lake, in one commit.

    Image bytes are stored unchanged, but for images that must be converted (see ``convert``). Boxes are
    float64 ``(left, top, right, bottom)`` in pixels with the corners that MMDetection's ``XMLDataset`` reads:
    fractions cut off, and 1 subtracted from all four. The ``difficult`` flag is kept.

    Args:
        root: Folder with ``Annotations``, ``ImageSets`` and ``JPEGImages``.
        lake: Folder or URL of the new lake.
        split: Name of a file in ``ImageSets/Main`` or ``ImageSets``, without ``.txt``.
        classes: Class names in label order; boxes of other classes are refused. By default all names in
            ``Annotations``, sorted, whatever the split.
        exif: Which images are turned by their EXIF orientation, as MMDetection turns files: ``'auto'``
            decides for each by its stated size and boxes (see `choose_frame`), ``'turn'`` and ``'stored'``
            for all. The lake records it.
        convert: ``'auto'``: if the images are not all JPEG, the lake's are PNG, and all others are converted
            to the pixels that MMDetection decodes of them; ``'never'``: the fewer ones are refused.
        overwrite: Replace an existing lake once the new one is complete.
        creds: Storage options for the lake.
        progress: Whether to draw a progress bar on stderr.
        workers: Threads that read and check images; by default one per core, at most 8.

    Returns:
        What was imported and what was refused: images that are missing, cannot be decoded as a whole or
        differ in size from their XML, or whose XML cannot be read; boxes that are missing, not finite or
        without area.

    Raises:
        SourceNotFoundError, SourceFormatError: The folder or the split is not there or not sound.
        AnnotationError: The split names an image twice, or no image or no box of it can be imported.
        ConfigError: ``classes`` is not sound, or ``exif`` or ``convert`` has another value.
        ImportRefusedError: Something stands at ``lake``.
        StorageError: The storage refused or failed.
    """
    check_exif(exif)
    check_target(os.fspath(lake), overwrite=overwrite, creds=creds)
    voc = load_voc(root, split, classes)
    encoding = choose_encoding(voc.image_paths(), convert)
    summary = ImportSummary(os.fspath(lake), f"{root} ({split})", dict.fromkeys(voc.class_names, 0))
    if voc.unreadable:
        summary.notes.append(f"{voc.unreadable} files of Annotations could not be read for their class names")
    writer = LakeWriter(
        os.fspath(lake),
        class_names=voc.class_names,
        box_format="ltrb",
        image_format=encoding.format,
        optional_columns=("difficults",),
        overwrite=overwrite,
        source="voc",
        message=f"Import Pascal VOC split {split}",
        creds=creds,
    )
    unread: set[str] = set()
    plan = _plan(voc, unread)
    run_import(
        plan, len(voc.ids), writer, summary, encoding=encoding, progress=progress, exif=exif, workers=workers
    )
    if unread:
        summary.notes.append(f"Not imported, as a lake has no place for it: {', '.join(sorted(unread))}")
    return summary


def _plan(voc: VocSplit, unread: set[str]) -> Iterator[PlannedImage]:
    label_of = {name: label for label, name in enumerate(voc.class_names)}
    for image in voc.images():
        unread |= image.unread
        if image.fault is not None:
            fault = ("annotation file is missing or cannot be read", image.fault)
            yield PlannedImage(image.image_path, None, file=str(image.xml_path), fault=fault)
            continue
        good: list[VocObject] = []
        refused: list[tuple[str, str]] = []
        for position, entry in enumerate(image.objects, 1):
            reason = _box_fault(entry, label_of)
            if reason is None:
                good.append(entry)
            else:
                detail = f"object {position}, {entry.name!r}, corners less 1 {entry.box}"
                refused.append((reason, detail))
        fields = {
            "file_name": image.image_path.name,
            "boxes": np.array([entry.box for entry in good], np.float64).reshape(-1, 4),
            "labels": np.array([label_of[entry.name] for entry in good], np.int64),
            "difficults": np.array([entry.difficult for entry in good], np.uint8),
        }
        yield PlannedImage(image.image_path, image.size, fields, tuple(refused), file=str(image.xml_path))


def _box_fault(entry: VocObject, label_of: Mapping[str, int]) -> str | None:
    if entry.fault is not None:
        return entry.fault
    if entry.name not in label_of:
        return "class is not in the class list"
    if entry.box[2] <= entry.box[0] or entry.box[3] <= entry.box[1]:
        return "box has no area (width or height is zero or negative)"
    return None
