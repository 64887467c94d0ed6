"""Import of YOLO data sets: boxes and polygons in text files, in fractions of their images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import AnnotationError, SourceNotFoundError
from deeplake_mmdet.formats.yolo_labels import has_polygons, read_labels
from deeplake_mmdet.formats.yolo_set import YoloSplit, load_yolo
from deeplake_mmdet.lake.archives.sources import Sources, is_address
from deeplake_mmdet.lake.writing.writer import LakeWriter
from deeplake_mmdet.transfer.encodings import choose_encoding
from deeplake_mmdet.transfer.image_files import shown
from deeplake_mmdet.transfer.importing import PlannedImage, check_options, open_places, run_import
from deeplake_mmdet.transfer.summary import ImportSummary
from deeplake_mmdet.transfer.yolo_images import YoloImages

__all__ = ["import_yolo"]

_SHOWN = 5


def import_yolo(
    data: str | Path,
    lake: str | Path,
    *,
    split: str | None = None,
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
    """Import one split of a YOLO data set into a new lake, in one commit.

    Labels are those of detection (``class x y width height``) and segmentation (``class x y x y ...``).
    Image bytes are stored unchanged, but for images that must be converted (see ``convert``). Boxes become
    float64 ``(x, y, width, height)`` in pixels of the image as it is shown, turned by its EXIF orientation,
    as Ultralytics means them; polygons become COCO's. Nothing is rounded or cut off at the edges.

    What Ultralytics does silently is told here: it ignores all labels of an image where one line is wrong,
    and drops repeated lines; here each such line is refused by itself. Images without a label file, or with
    an empty one, are background in both. Labels of rotated boxes (OBB) look like polygons of four points and
    are taken for such. Keypoints (``kpt_shape`` in the file) are left out and counted. ``download`` is never
    run.

    Args:
        data: The ``data.yaml``, or a folder; see `load_yolo`. A zip file or an S3 prefix
            (``s3://bucket/prefix``) will do for a folder; nothing is unpacked on the disk.
        lake: Folder or URL of the new lake.
        split: ``'train'``, ``'val'`` or ``'test'``; may be left out where there is one alone.
        classes: Class names in label order, as they are after renaming (``map``); boxes of others are
            refused. By default all, in their order. Where the data set names no classes, the names of the
            class numbers from 0 on.
        map: New names of classes by old ones; several classes that get one name become one.
        limit: Import the first so many images of the split only, refused ones among them.
        exif: Which images are turned by their EXIF orientation: ``'auto'`` and ``'turn'`` all, ``'stored'``
            none: for labels by tools that ignore it. The lake records it.
        convert: ``'auto'``: the lake's images are JPEG if there is any (see `choose_encoding`), else PNG, and
            all others are converted to the very pixels that MMDetection decodes of them, by lossless
            JPEG or by PNG; ``'never'``: the fewer ones are refused.
        verify: ``'decode'``: every image is decoded, as training will; ``'header'`` and ``'none'``: its
            format and its size are read from its header, and whether it can be decoded shows in training.
        append: Add the images to the lake that stands there, in one commit; see `Appending`.
        shard: ``'i/n'`` or ``(i, n)``: import only the i-th of n parts, as a branch of the new lake that
            `merge` puts together with the others; ``'auto'`` takes both from Slurm, Kubernetes or torchrun.
            All parts need the same arguments.
        overwrite: Replace an existing lake once the new one is complete.
        creds: Storage options for the lake, and for a data set at an address.
        progress: Whether to draw a progress bar on stderr.
        workers: Threads that read and check images; by default one per core.

    Returns:
        What was imported and what was refused: images that are missing or cannot be decoded as a whole, or
        whose label file cannot be read; lines with a wrong count of numbers, with what is no number, a class
        without name, coordinates that are no fractions, no area, or the same content as another.

    Raises:
        SourceNotFoundError, SourceFormatError: The file, the folder, the split or all labels are not there,
            or not sound.
        AnnotationError: No image or no box can be imported.
        ConfigError: ``classes`` or ``map`` names a class that is not there, there are several splits and
            none was named, or another option has a wrong value.
        ImportRefusedError: Something stands at ``lake``, or what stands there cannot be appended to.
        StorageError: The storage refused or failed.
    """
    check_options(exif, verify, workers, limit)
    decisive = {
        "format": "yolo",
        "split": split,
        "map": map,
        "limit": limit,
        "exif": exif,
        "convert": convert,
        "verify": verify,
    }
    into, appending = open_places(
        lake, shard=shard, append=append, overwrite=overwrite, creds=creds, arguments=decisive
    )
    sources = Sources(creds)
    # Not resolved: labels lie beside links, too.
    path = sources.path(data if is_address(data) else os.path.abspath(data))  # noqa: PTH100
    found = load_yolo(path, split, classes, map)
    workers = workers or sources.threads
    images = YoloImages(found, limit, sources.threads or 1)
    source = f"{data} ({found.split})" if found.split else str(data)
    masks = _look_through(images, found, source)
    encoding = appending.encoding(convert) if appending else choose_encoding(images.paths(), convert, workers)
    summary = ImportSummary(os.fspath(lake), source, dict.fromkeys(found.class_names, 0))
    summary.notes += found.notes
    make_writer = partial(LakeWriter, into=into) if appending is None else appending.writer
    writer = make_writer(
        os.fspath(lake),
        class_names=found.class_names,
        box_format="ltwh",
        image_format=encoding.format,
        optional_columns=("segmentations",) if masks else (),
        overwrite=overwrite,
        source="yolo",
        message=f"Import YOLO split {found.split}" if found.split else "Import YOLO labels",
        creds=creds,
    )
    counts: Counter[str] = Counter()
    run_import(
        _plan(found, images, masks, counts),
        len(images),
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
    summary.notes += _notes(counts, images)
    return summary


def _look_through(images: YoloImages, found: YoloSplit, source: str) -> bool:
    """Whether there are polygons; the label files are read until one has some.

    Raises:
        SourceNotFoundError, AnnotationError: There are no images or not one of them has a label file.
    """
    count = labelled = 0
    for _, file in images.with_labels():
        count += 1
        labelled += file is not None and (file.text is not None or file.fault is not None)
        if file is not None and has_polygons(file.text or "", found.keypoints):
            return True
    if not count:
        raise AnnotationError(
            "The YOLO split has no images",
            where=source,
            advice=f"Looked for images in {', '.join(map(str, (*found.folders, *found.lists)))}",
        )
    if not labelled:
        folders = ", ".join(map(str, images.label_folders()[:_SHOWN])) or "no folder"
        raise SourceNotFoundError(
            f"Not one of the {count} images has a label file",
            where=f"{source}, looked for .txt files in {folders}",
            advice="Labels lie in 'labels' where images lie in 'images', or beside the images",
        )
    return False


def _plan(found: YoloSplit, images: YoloImages, masks: bool, counts: Counter[str]) -> Iterator[PlannedImage]:
    for image, file in images.with_labels():
        if file is None:
            yield PlannedImage(image.path, None, file=image.shown, fault=image.fault)
            continue
        if file.fault is not None:
            yield PlannedImage(image.path, None, file=shown(file.path), fault=file.fault)
            continue
        objects = read_labels(file.text or "", found.label_of, found.keypoints)
        counts["background"] += file.text is None
        counts["keypoints"] += objects.keypoints
        counts["corners"] += objects.corners
        counts["polygons"] += sum(shape is not None for shape in objects.polygons)
        fields = {"file_name": image.name, "boxes": objects.boxes, "labels": objects.labels}
        if masks:
            fields["segmentations"] = [None if shape is None else [shape] for shape in objects.polygons]
        changes = (*image.changes, *file.changes)
        yield PlannedImage(
            image.path, None, fields, objects.refused, changes, file=shown(file.path), fractional=True
        )


def _notes(counts: Counter[str], images: YoloImages) -> list[str]:
    notes = []
    if counts["background"]:
        notes.append(f"{counts['background']} images have no label file; they are taken as background")
    if counts["keypoints"]:
        notes.append(
            "Not imported, as a lake has no place for it: the keypoints of "
            f"{counts['keypoints']} objects; their boxes are"
        )
    if counts["polygons"] and counts["corners"] == counts["polygons"]:
        notes.append(
            f"All {counts['polygons']} polygons have four points, as rotated boxes (OBB) do: they are taken "
            "as polygons, with their bounds as boxes"
        )
    spare = images.spare_labels()
    names = list(islice(spare, _SHOWN))
    if names:
        count = len(names) + sum(1 for _ in spare)
        more = f" and {count - len(names)} more" * (count > len(names))
        notes.append(f"{count} text files among the labels belong to no image: {', '.join(names)}{more}")
    return notes
