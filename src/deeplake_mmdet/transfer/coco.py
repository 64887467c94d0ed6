"""Import of COCO detection data."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.errors import AnnotationError, SourceNotFoundError
from deeplake_mmdet.formats.coco import CocoAnnotation, CocoFile, load_coco
from deeplake_mmdet.lake.writer import LakeWriter, check_target
from deeplake_mmdet.transfer.encodings import choose_encoding
from deeplake_mmdet.transfer.importing import PlannedImage, check_exif, run_import
from deeplake_mmdet.transfer.summary import ImportSummary

__all__ = ["import_coco"]


def import_coco(
    annotations: str | Path,
    lake: str | Path,
    *,
    images: str | Path,
    exif: str = "auto",
    convert: str = "auto",
    overwrite: bool = False,
    creds: Mapping[str, str] | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> ImportSummary:
    """Import a COCO detection file and its images into a new lake, in one commit.

    Image bytes are stored unchanged, but for images that must be converted (see ``convert``). Boxes are
    float64 ``(x, y, width, height)`` in pixels, exactly as in the JSON. Labels follow the file's category
    order; category, image and annotation ids, ``iscrowd``, ``area`` and ``segmentation`` (polygons and RLE)
    are kept. A missing ``iscrowd`` is 0, a missing ``area`` the area of the box.

    Args:
        annotations: The JSON file.
        lake: Folder or URL of the new lake.
        images: Folder that the file names are relative to.
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
        differ in size from the file; boxes that are missing, not finite or without area.

    Raises:
        SourceNotFoundError: The file or the folder is missing.
        SourceFormatError, AnnotationError: The file is not sound COCO (see `load_coco`), or no image or no
            box of it can be imported.
        ConfigError: ``exif`` or ``convert`` has another value.
        ImportRefusedError: Something stands at ``lake``.
        StorageError: The storage refused or failed.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise SourceNotFoundError("There is no such image folder", where=str(folder))
    check_exif(exif)
    check_target(os.fspath(lake), overwrite=overwrite, creds=creds)
    coco = load_coco(annotations)
    if not coco.images or not coco.categories:
        raise AnnotationError(
            "The COCO file has no images or no categories", where=str(annotations), advice="Give another file"
        )
    encoding = choose_encoding((folder / image.file_name for image in coco.images), convert)
    columns, notes = _columns(coco)
    summary = ImportSummary(
        os.fspath(lake), str(annotations), dict.fromkeys(coco.class_names, 0), notes=notes
    )
    writer = LakeWriter(
        os.fspath(lake),
        class_names=coco.class_names,
        category_ids=coco.category_ids,
        box_format="ltwh",
        image_format=encoding.format,
        optional_columns=columns,
        overwrite=overwrite,
        source="coco",
        message=f"Import COCO file {Path(annotations).name}",
        creds=creds,
    )
    plan = _plan(coco, folder, columns)
    run_import(
        plan,
        len(coco.images),
        writer,
        summary,
        encoding=encoding,
        progress=progress,
        exif=exif,
        workers=workers,
    )
    return summary


def _columns(coco: CocoFile) -> tuple[set[str], list[str]]:
    """The optional columns that this file fills, and what the user should know about it."""
    columns = {"image_id", "areas", "iscrowds"}
    total = without_id = without_area = 0
    for group in coco.annotations.values():
        for annotation in group:
            total += 1
            without_id += annotation.id is None
            without_area += not _is_number(annotation.area)
            if annotation.ignore is not None:
                columns.add("ignores")
            if annotation.segmentation is not None:
                columns.add("segmentations")
    notes = []
    if not without_id:
        columns.add("annotation_ids")
    else:
        notes.append(f"{without_id} of {total} annotations have no id, so the lake has no annotation ids")
    if without_area:
        notes.append(f"{without_area} annotations state no area; the area of the box stands for it")
    if coco.repeated_annotation_ids:
        notes.append(f"{coco.repeated_annotation_ids} annotations repeat the id of another one")
    if coco.unread:
        notes.append(f"Not imported, as a lake has no place for it: {', '.join(coco.unread)}")
    return columns, notes


def _plan(coco: CocoFile, folder: Path, columns: set[str]) -> Iterator[PlannedImage]:
    label_of = {number: label for label, number in enumerate(coco.category_ids)}
    for image in coco.images:
        good: list[CocoAnnotation] = []
        refused: list[tuple[str, str]] = []
        for annotation in coco.annotations_of(image.id):
            reason = _box_fault(annotation.bbox)
            if reason is None:
                good.append(annotation)
            else:
                refused.append((reason, f"annotation {annotation.id}, bbox {annotation.bbox!r:.100}"))
        size = None
        if image.width is not None and image.height is not None:
            size = (image.width, image.height)
        fields = {"file_name": image.file_name, "image_id": image.id, **_arrays(good, label_of, columns)}
        yield PlannedImage(folder / image.file_name, size, fields, tuple(refused))


def _arrays(
    annotations: Sequence[CocoAnnotation], label_of: Mapping[int, int], columns: set[str]
) -> dict[str, Any]:
    boxes = np.array([a.bbox for a in annotations], np.float64).reshape(-1, 4)
    areas = [a.area if _is_number(a.area) else a.bbox[2] * a.bbox[3] for a in annotations]
    arrays: dict[str, Any] = {
        "boxes": boxes,
        "labels": np.array([label_of[a.category_id] for a in annotations], np.int64),
        "areas": np.array(areas, np.float64),
        "iscrowds": np.array([a.iscrowd for a in annotations], np.uint8),
    }
    if "ignores" in columns:
        arrays["ignores"] = np.array([a.ignore or 0 for a in annotations], np.uint8)
    if "annotation_ids" in columns:
        arrays["annotation_ids"] = np.array([a.id for a in annotations], np.int64)
    if "segmentations" in columns:
        arrays["segmentations"] = [a.segmentation for a in annotations]
    return arrays


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def _box_fault(bbox: Any) -> str | None:
    if bbox is None or bbox == []:
        return "box is missing"
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(value) for value in bbox):
        return "box is not four finite numbers"
    if bbox[2] <= 0 or bbox[3] <= 0:
        return "box has no area (width or height is zero or negative)"
    return None
