"""Import of Pascal VOC folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.formats.class_map import check_map, choose_classes
from deeplake_mmdet.formats.voc_object import VocObject
from deeplake_mmdet.formats.voc_split import VocSplit, load_voc
from deeplake_mmdet.lake.archives.sources import Sources
from deeplake_mmdet.lake.writing.writer import LakeWriter
from deeplake_mmdet.transfer.encodings import choose_encoding
from deeplake_mmdet.transfer.image_files import shown
from deeplake_mmdet.transfer.importing import PlannedImage, check_options, open_places, run_import
from deeplake_mmdet.transfer.summary import ImportSummary
from deeplake_mmdet.transfer.voc_images import VocImages

__all__ = ["import_voc"]

_SHOWN = 20


def import_voc(
    root: str | Path,
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
    """Import one split of a Pascal VOC folder into a new lake, in one commit.

    Image bytes are stored unchanged, but for images that must be converted (see ``convert``). Boxes are
    float64 ``(left, top, right, bottom)`` in pixels with the corners that MMDetection's ``XMLDataset`` reads:
    fractions cut off, and 1 subtracted from all four. The ``difficult`` flag is kept. So are
    the elements that nothing reads (``pose``, ``truncated``, ``source``, ...), for `export_voc`.

    The image of ``a.xml`` is ``a.*`` in any usual format and letter case, and only where there is none the
    XML's ``<filename>``, which is often out of date: then the summary says so. An image that another XML's
    name fits, or that two would use, is refused. ``XMLDataset`` reads ``a.jpg`` alone; it stops where
    ``<difficult/>`` is empty or a size is "64.0", and compares class names with the blanks around them.

    Args:
        root: Folder with ``Annotations``, ``ImageSets`` and ``JPEGImages``; see `find_layout` for others. A
            zip file or an S3 prefix (``s3://bucket/prefix``) will do; nothing is unpacked on the disk. Images
            without an XML file are left out and named.
        lake: Folder or URL of the new lake.
        split: Name of a file in ``ImageSets/Main`` or ``ImageSets``, without ``.txt``, or of a folder that
            holds it (``train``); may be left out where there is none, and then all XML files are imported.
        classes: Class names in label order, as they are after renaming (``map``); boxes of other classes are
            refused. By default all names in ``Annotations``, sorted, whatever the split.
        map: New names of classes by old ones; several classes that get one name become one.
        limit: Import the first so many images of the split only, refused ones among them.
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
        creds: Storage options for the lake, and for a root that is an address.
        progress: Whether to draw a progress bar on stderr.
        workers: Threads that read and check images; by default one per core.

    Returns:
        What was imported and what was refused: images that are missing, cannot be decoded as a whole or
        differ in size from their XML, or whose XML cannot be read; boxes that are missing, not finite or
        without area.

    Raises:
        SourceNotFoundError, SourceFormatError: The folder or the split is not there or not sound.
        AnnotationError: No image or no box can be imported.
        ConfigError: ``classes`` is not sound or fits no annotation file, ``map`` names a class that is not
            there, there are several splits and none was named, or another option has a wrong value.
        ImportRefusedError: Something stands at ``lake``, or what stands there cannot be appended to.
        StorageError: The storage refused or failed.
    """
    check_options(exif, verify, workers, limit)
    renamed = check_map(map)
    decisive = {
        "format": "voc",
        "split": split,
        "map": renamed,
        "limit": limit,
        "exif": exif,
        "convert": convert,
        "verify": verify,
    }
    into, appending = open_places(
        lake, shard=shard, append=append, overwrite=overwrite, creds=creds, arguments=decisive
    )
    sources = Sources(creds)
    voc = load_voc(sources.path(root), split, None if renamed else classes)
    class_names, label_of = voc.class_names, {name: label for label, name in enumerate(voc.class_names)}
    if renamed:
        class_names, labels = choose_classes(voc.class_names, renamed, classes, str(root))
        label_of = dict(zip(voc.class_names, labels, strict=True))
    if limit is not None:
        voc = replace(voc, ids=voc.ids[:limit], repeated=voc.repeated[: max(0, limit - len(voc.ids))])
    images = VocImages(voc)
    workers = workers or sources.threads
    encoding = appending.encoding(convert) if appending else choose_encoding(images.paths(), convert, workers)
    source = f"{root} ({split})" if split else str(root)
    summary = ImportSummary(os.fspath(lake), source, dict.fromkeys(class_names, 0))
    summary.notes += voc.notes
    if voc.unreadable:
        summary.notes.append(f"{voc.unreadable} files of Annotations could not be read for their class names")
    make_writer = partial(LakeWriter, into=into) if appending is None else appending.writer
    writer = make_writer(
        os.fspath(lake),
        class_names=class_names,
        box_format="ltrb",
        image_format=encoding.format,
        optional_columns=("difficults", "image_remainder", "annotation_remainders"),
        overwrite=overwrite,
        source="voc",
        message=f"Import Pascal VOC split {split}" if split else "Import Pascal VOC",
        creds=creds,
        measured=verify != "none",
    )
    unread: set[str] = set()
    run_import(
        _plan(voc, images, label_of, unread),
        len(voc.ids) + len(voc.repeated),
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
    if voc.split is None and limit is None:
        summary.notes += _spare_note(images)
    if unread:
        names = ", ".join(sorted(unread)[:_SHOWN]) + f" and {len(unread) - _SHOWN} more" * (
            len(unread) > _SHOWN
        )
        kept = appending is None or appending.keeps_remainders
        done = (
            "Kept for 'export voc', and used by nothing else"
            if kept
            else "Left out, as the lake has no column for it"
        )
        summary.notes.append(f"{done}: {names}")
    return summary


def _spare_note(images: VocImages) -> list[str]:
    count = 0
    shown = []
    for count, name in enumerate(images.spare(), 1):
        if count <= _SHOWN:
            shown.append(name)
    if not count:
        return []
    more = f" and {count - _SHOWN} more" * (count > _SHOWN)
    return [
        f"{count} images have no annotation file and are left out, as MMDetection leaves them out: "
        f"{', '.join(shown)}{more}. An XML file without any <object> makes one background"
    ]


def _plan(
    voc: VocSplit, images: VocImages, label_of: Mapping[str, int], unread: set[str]
) -> Iterator[PlannedImage]:
    for image in voc.images():
        unread |= image.unread
        if image.fault is not None:
            missing = image.fault == "annotation file is missing"
            fault = (image.fault, "") if missing else ("annotation file cannot be read", image.fault)
            yield PlannedImage(image.image_path, None, file=shown(image.xml_path), fault=fault)
            continue
        found = images.find(image)
        good: list[VocObject] = []
        labels: list[int] = []
        refused: list[tuple[str, str]] = []
        changes = [*found.changes, *(("image", *change) for change in image.changes)]
        for position, entry in enumerate(image.objects, 1):
            detail = f"object {position}, {entry.name!r}"
            if entry.stated_box:
                detail += f", corners {entry.stated_box}"
            # A name is compared as it stands first, as XMLDataset does, then without the blanks around it.
            label = label_of.get(entry.stated_name, label_of.get(entry.name, -1))
            reason = _box_fault(entry, label)
            if reason is not None:
                refused.append((reason, detail))
                continue
            good.append(entry)
            labels.append(label)
            if entry.stated_name not in label_of:
                changes.append(("box", "class name has spaces or line breaks around it", detail))
            changes += (("box", reason, f"{detail}: {text}") for reason, text in entry.changes)
        fields = {
            "file_name": found.name,
            "boxes": np.array([entry.box for entry in good], np.float64).reshape(-1, 4),
            "labels": np.array(labels, np.int64),
            "difficults": np.array([entry.difficult for entry in good], np.uint8),
            "image_remainder": {"voc": image.rest},
            "annotation_remainders": [{"voc": entry.rest} if entry.rest else None for entry in good],
        }
        # A refused image is named by its own path, everything else by the annotation file.
        file = shown(found.path if found.fault else image.xml_path)
        yield PlannedImage(
            found.path, image.size, fields, tuple(refused), tuple(changes), file=file, fault=found.fault
        )
    for image_id in voc.repeated:
        fault = ("image is named once more in the split", repr(image_id))
        yield PlannedImage(voc.xml_of(image_id), None, file=shown(voc.xml_of(image_id)), fault=fault)


def _box_fault(entry: VocObject, label: int) -> str | None:
    if entry.fault is not None:
        return entry.fault
    if label < 0:
        return "class is not in the class list"
    if entry.box[2] < entry.box[0] or entry.box[3] < entry.box[1]:
        # Not turned round: where boxes are written as x, y, width, height the corners look like this, too.
        return "box has its corners the wrong way round (xmin > xmax or ymin > ymax)"
    if entry.box[2] == entry.box[0] or entry.box[3] == entry.box[1]:
        return "box has no area (width or height is zero or negative)"
    return None
