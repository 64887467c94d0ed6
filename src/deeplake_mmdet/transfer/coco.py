"""Import of COCO detection data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.errors import AnnotationError, SourceNotFoundError
from deeplake_mmdet.formats.class_map import check_map
from deeplake_mmdet.formats.coco import load_coco, select_classes
from deeplake_mmdet.formats.coco_file import CocoFile
from deeplake_mmdet.formats.coco_selection import first_images, rename_classes
from deeplake_mmdet.formats.coco_values import Id
from deeplake_mmdet.formats.file_names import is_folder
from deeplake_mmdet.lake.archives.sources import Sources
from deeplake_mmdet.lake.writing.writer import LakeWriter
from deeplake_mmdet.transfer.coco_objects import ObjectBlock, size_of
from deeplake_mmdet.transfer.coco_places import find_images, innermost, open_annotations
from deeplake_mmdet.transfer.coco_remainders import facts_of, image_remainder, remainder_columns
from deeplake_mmdet.transfer.encodings import choose_encoding
from deeplake_mmdet.transfer.image_files import NamedImages
from deeplake_mmdet.transfer.importing import PlannedImage, check_options, open_places, run_import
from deeplake_mmdet.transfer.summary import Finding, ImportSummary

__all__ = ["import_coco"]

_OF_LVIS = (
    *("images.neg_category_ids", "images.not_exhaustive_category_ids"),
    *("categories.frequency", "categories.image_count"),
)
_BLOCK = 256  # images whose objects are looked at together


def import_coco(
    annotations: str | Path,
    lake: str | Path,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    map: Mapping[str, str] | None = None,
    limit: int | None = None,
    exif: str = "auto",
    convert: str = "auto",
    verify: str = "decode",
    append: bool = False,
    shard: Any = None,
    overwrite: bool = False,
    creds: Mapping[str, str] | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> ImportSummary:
    """Import a COCO detection file and its images into a new lake, in one commit.

    Image bytes are stored unchanged, but for images that must be converted (see ``convert``). Boxes are
    float64 ``(x, y, width, height)`` in pixels, exactly as in the JSON. Labels follow the file's category
    order; category, image and annotation ids, ``iscrowd``, ``area`` and ``segmentation`` (polygons and RLE)
    are kept; so is all else that the file says, ``info`` and ``licenses`` as well as extra fields, for
    `export_coco`: in the columns ``image_remainder`` and ``annotation_remainders``, where there is something
    to keep. Ids that are texts, fractions or beyond 64 bits are kept beside: in the columns
    ``image_source_id`` (JSON) and ``annotation_source_ids`` (a JSON list for each image), and in the labels'
    metadata as ``category_source_ids``; ``img_id`` of samples and files of predictions have them.

    A missing ``iscrowd`` is 0. An ``area`` that is missing, zero, negative or no number is computed anew,
    where MMDetection would leave the object out: that of the mask, else that of the box. Numbers and flags
    that are written as text count as what they say, also ``iscrowd: "0"``, which to MMDetection is a crowd.
    What is taken otherwise than the file says is counted in `ImportSummary.changes`; what cannot be taken is
    refused one by one (see also `load_coco`). A segmentation of another form is converted where its meaning
    is certain; the object of one that cannot be used stays without a mask (see `read_segmentation`).

    Args:
        annotations: The JSON file; or a folder, a zip file or an S3 prefix (``s3://bucket/prefix``) with one,
            or a path on into a zip file (``set.zip/train/instances.json``). Nothing is unpacked on the disk.
        lake: Folder or URL of the new lake.
        images: Folder that the file names are relative to; a zip file or an S3 prefix will do. By default the
            annotation file's own, ``images`` in it or, for one in ``annotations``, beside it.
        classes: Names of the categories to import, in label order, as they are after renaming (``map``);
            boxes of others are refused. By default all of the file, in its order.
        map: New names of classes by old ones; several that get one name become one, with the id of the first.
        limit: Import the first so many images of the file only, refused ones among them.
        exif: Which images are turned by their EXIF orientation, as MMDetection turns files: ``'auto'``
            decides for each by its stated size and boxes (see `choose_frame`), ``'turn'`` and ``'stored'``
            for all. The lake records it.
        convert: ``'auto'``: the lake's images are JPEG if there is any (see `choose_encoding`), else PNG, and
            all others are converted to the very pixels that MMDetection decodes of them, by lossless
            JPEG or by PNG; ``'never'``: the fewer ones are refused.
        verify: ``'decode'``: every image is decoded, as training will; ``'header'``: its format and its size
            are read from its header, and whether it can be decoded shows in training; ``'none'``: as
            ``'header'``, but a size that the annotation states is believed. The lake's metadata and the
            summary say what was not decoded. Images that are converted always are.
        append: Add the images to the lake that stands there, in one commit; see `Appending`.
        shard: ``'i/n'`` or ``(i, n)``: import only the i-th of n parts, as a branch of the new lake that
            `merge` puts together with the others; ``'auto'`` takes both from Slurm, Kubernetes or torchrun.
            All parts need the same arguments.
        overwrite: Replace an existing lake once the new one is complete.
        creds: Storage options for the lake, and for annotations and images at addresses.
        progress: Whether to draw a progress bar on stderr.
        workers: Threads that read and check images; by default one per core.

    Returns:
        What was imported and what was refused: images that are missing, cannot be decoded as a whole or
        differ in size from the file; boxes that are missing, not finite or without area, or that name an
        image or category which the file does not have.

    Raises:
        SourceNotFoundError: The file or the folder is missing.
        SourceFormatError, AnnotationError: The file is not sound COCO (see `load_coco`), or no image or no
            box of it can be imported.
        ConfigError: ``classes`` or ``map`` names one that the file lacks, or another option has a wrong
            value.
        ImportRefusedError: Something stands at ``lake``, or what stands there cannot be appended to.
        StorageError: The storage refused or failed.
    """
    sources = Sources(creds)
    folder = None if images is None else sources.path(images)
    if folder is not None and not is_folder(folder):
        raise SourceNotFoundError("There is no such image folder", where=str(folder))
    check_options(exif, verify, workers, limit)
    renamed = check_map(map)
    decisive = {
        "format": "coco",
        "map": renamed,
        "limit": limit,
        "exif": exif,
        "convert": convert,
        "verify": verify,
    }
    into, appending = open_places(
        lake, shard=shard, append=append, overwrite=overwrite, creds=creds, arguments=decisive
    )
    annotations = open_annotations(annotations, sources, alone=folder is not None)
    coco = load_coco(annotations)
    for what, found in (("images", coco.images), ("categories", coco.categories)):
        if not found:
            raise AnnotationError(
                f"The COCO file has no {what}", where=str(annotations), advice="Give another file"
            )
    if renamed:
        coco = rename_classes(coco, renamed)
    if limit is not None:
        coco = first_images(coco, limit)
    if classes is not None:
        coco = select_classes(coco, classes)
    names = [image.file_name for image in coco.images if not image.fault]
    folder = find_images(annotations, names) if folder is None else innermost(folder, names)
    files = NamedImages(folder, names)
    workers = workers or sources.threads
    encoding = appending.encoding(convert) if appending else choose_encoding(files.paths(), convert, workers)
    if appending is not None:
        coco = replace(coco, kept=appending.remainders(coco.kept))
    columns, notes = _columns(coco, files)
    summary = ImportSummary(
        os.fspath(lake), str(annotations), dict.fromkeys(coco.class_names, 0), notes=notes
    )
    if appending is not None:
        annotation_ids = (one.id for group in coco.annotations.values() for one in group)
        appending.keep_free([image.id for image in coco.images], annotation_ids)
    make_writer = partial(LakeWriter, into=into) if appending is None else appending.writer
    writer = make_writer(
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
        measured=verify != "none",
    )
    if appending is None:
        writer.remainder |= facts_of(coco)
    for kind, reason, detail in coco.strays if into is None or into.shard.number == 0 else ():
        summary.refusals.add(Finding(kind, str(annotations), reason, detail))
    run_import(
        _plan(coco, files, columns),
        len(coco.images),
        writer,
        summary,
        encoding=encoding,
        progress=progress,
        exif=exif,
        verify=verify,
        workers=workers,
        appending=appending,
        shard=into,
    )
    return summary


def _columns(coco: CocoFile, files: NamedImages) -> tuple[set[str], list[str]]:
    """The optional columns that this file fills, and what the user should know about it."""
    columns = {"image_id", "areas", "iscrowds"}
    total = without_id = other_id = 0
    for group in coco.annotations.values():
        for annotation in group:
            total += 1
            without_id += annotation.id is None
            other_id += not _fits(annotation.id)
            if annotation.ignore is not None:
                columns.add("ignores")
            if annotation.segmentation is not None:
                columns.add("segmentations")
    columns |= remainder_columns(coco, as_stated=files.all_exact)
    notes = list(coco.notes)
    if not all(_fits(image.id) for image in coco.images):
        columns.add("image_source_id")
        notes.append(
            "Ids of images are not all 64-bit integers: they are kept in 'image_source_id', and 'image_id' "
            "holds numbers in their order"
        )
    if total and without_id < total:
        columns.add("annotation_ids")
        if other_id:
            columns.add("annotation_source_ids")
            notes.append(
                f"{other_id} of {total} annotations have ids that are missing or no 64-bit integers: all are "
                "kept in 'annotation_source_ids', and 'annotation_ids' numbers the objects"
            )
    elif total:
        notes.append("No annotation has an id, so the lake has no annotation ids")
    if coco.repeated_annotation_ids:
        notes.append(f"{coco.repeated_annotation_ids} annotations repeat the id of another one")
    scored = [key for key in coco.kept if key in _OF_LVIS]
    if scored:
        notes.append(f"Kept for LVISMetric and 'export coco': {', '.join(scored)}")
    if others := [key for key in coco.kept if key not in _OF_LVIS]:
        notes.append(f"Kept for 'export coco', and used by nothing else: {', '.join(others)}")
    if coco.unread:
        notes.append(f"Not imported, as it is nested too deep: {', '.join(coco.unread)}")
    return columns, notes


def _fits(number: Id | None) -> bool:
    return isinstance(number, int) and -(2**63) <= number < 2**63


def _plan(coco: CocoFile, files: NamedImages, columns: set[str]) -> Iterator[PlannedImage]:
    label_of = {number: label for label, number in enumerate(coco.category_ids)}
    numbers = _numbers(coco) if "image_source_id" in columns else None
    first = 1  # number of the next object
    for start in range(0, len(coco.images), _BLOCK):
        images = coco.images[start : start + _BLOCK]
        objects = ObjectBlock([(image, coco.annotations_of(image.id)) for image in images])
        arrays = _arrays(objects, label_of, columns, first)
        if "annotation_remainders" in columns:
            arrays["annotation_remainders"] = [a.remainder for a in objects.good]
        first += len(objects.good)
        for place, image in enumerate(images):
            found = files.find(image.file_name) if image.fault is None else None
            fields: dict[str, Any] = {"file_name": image.file_name, "image_id": image.id}
            if found is not None:
                fields["file_name"] = found.name
            mine = objects.rows(place)
            fields |= {name: values[mine] for name, values in arrays.items()}
            if numbers is not None:
                fields |= {"image_id": numbers[image.id], "image_source_id": image.id}
            if "image_remainder" in columns:
                fields["image_remainder"] = image_remainder(image, fields["file_name"])
            refused, changes = objects.findings(place)
            yield PlannedImage(
                coco.path if found is None else found.path,
                size_of(image),
                fields,
                (*coco.refused_of.get(image.id, ()), *refused),
                (*changes, *(() if found is None else found.changes)),
                file=str(coco.path) if found is None else found.shown,
                fault=image.fault if found is None else found.fault,
            )


def _numbers(coco: CocoFile) -> dict[Id, int]:
    """A number for each image: its place in the order in which COCO's evaluation takes ids."""
    ids = sorted((image.id for image in coco.images), key=lambda name: (isinstance(name, str), name))
    return {name: number for number, name in enumerate(ids, 1)}


def _arrays(
    objects: ObjectBlock, label_of: Mapping[Id, int], columns: set[str], first: int
) -> dict[str, Any]:
    """The columns of a block's objects, one after another; what is no array is a list."""
    good = objects.good
    arrays: dict[str, Any] = {
        "boxes": objects.boxes,
        "labels": np.array([label_of[a.category_id] for a in good], np.int64),
        "areas": objects.areas,
        "iscrowds": np.array([a.iscrowd for a in good], np.uint8),
    }
    if "ignores" in columns:
        arrays["ignores"] = np.array([a.ignore or 0 for a in good], np.uint8)
    if "annotation_source_ids" in columns:
        arrays["annotation_source_ids"] = [a.id for a in good]
        arrays["annotation_ids"] = np.arange(first, first + len(good))
    elif "annotation_ids" in columns:
        arrays["annotation_ids"] = np.array([a.id for a in good], np.int64)
    if "segmentations" in columns:
        arrays["segmentations"] = [a.segmentation for a in good]
    return arrays
