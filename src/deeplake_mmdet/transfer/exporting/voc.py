"""Export as Pascal VOC: one XML file per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from deeplake_mmdet.formats.voc_rest import add_rest, sound_text
from deeplake_mmdet.transfer.exporting.labelled import LabelledImage, labelled_images
from deeplake_mmdet.transfer.exporting.pictures import Pictures
from deeplake_mmdet.transfer.exporting.reading import ExportedLake
from deeplake_mmdet.transfer.exporting.running import run_export
from deeplake_mmdet.transfer.exporting.summary import ExportSummary

__all__ = ["export_voc"]

_LIST = "trainval"
_OWN = {"filename", "size", "object", "name", "difficult", "bndbox", "score"}


def export_voc(
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
    """Write a lake as Pascal VOC: ``Annotations``, ``JPEGImages`` and ``ImageSets/Main/trainval.txt``.

    Corners are whole pixels that begin with 1, so that `import_voc` and MMDetection's ``XMLDataset``, which
    subtract 1 from all four, read the boxes of the lake, rounded. Boxes that rounding leaves without area get
    a pixel. What `import_voc` kept of its files beside (``pose``, ``truncated``, ...) is written again.
    ``difficult`` is 1 for objects that the lake calls difficult, to be ignored, or a crowd. Masks
    are not exported. With ``predictions`` each object has a ``<score>``, which readers of VOC pass over.

    Image files are those of `export_coco`; their ending is that of what they hold. ``XMLDataset`` reads
    ``.jpg`` alone.

    Args:
        lake: Folder or address of the lake.
        folder: Folder to write, absent or empty.
        images, commit, branch, tag, view, query, predictions, tensors, box_format, classes, creds, progress:
            As of `export_coco`.

    Returns:
        What was exported, left out and changed.

    Raises:
        DeepLakeMMDetError: As `export_coco`.
    """
    return run_export(
        "voc",
        lake,
        folder,
        _write,
        last="ImageSets",
        image_folder="JPEGImages",
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


def _write(
    lake: ExportedLake, folder: Path, pictures: Pictures, summary: ExportSummary, progress: bool
) -> None:
    annotations, lists = folder / "Annotations", folder / "ImageSets" / "Main"
    annotations.mkdir()
    lists.mkdir(parents=True)
    names = [sound_text(name) for name in lake.view.classes]
    for name, written in zip(lake.view.classes, names, strict=True):
        if name != written:
            summary.notes.append(f"Class {name!r} is written as {written!r}: XML has no such characters")
    other_kinds = masks = 0
    with (lists / f"{_LIST}.txt").open("w", encoding="utf-8") as ids:
        for image in labelled_images(lake, pictures, annotations, ".xml", summary, progress):
            image_id, _, ending = image.name.rpartition(".")
            other_kinds += ending != "jpg"
            masks += sum(map(bool, image.masks))
            file = annotations / f"{image_id}.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            tree = _tree(image, names, lake.view.classes, summary)
            ElementTree.indent(tree)
            file.write_bytes(ElementTree.tostring(tree, encoding="utf-8"))
            ids.write(f"{image_id}\n")
            summary.boxes += len(image.labels)
    if masks:
        summary.notes.append(f"{masks} masks are not exported: VOC's annotations hold boxes")
    if other_kinds:
        summary.notes.append(
            f"{other_kinds} images do not end in .jpg: MMDetection's XMLDataset reads no others, "
            "'import voc' does"
        )


def _tree(
    image: LabelledImage, names: Sequence[str], classes: Sequence[str], summary: ExportSummary
) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    folder, _, file = image.name.rpartition("/")
    rest = image.rest if image.rest is not None else {"folder": folder or "JPEGImages", "segmented": "0"}
    _add(root, "filename", file)
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        _add(size, name, value)
    add_rest(root, {tag: value for tag, value in rest.items() if tag not in _OWN})
    for at, label in enumerate(image.labels):
        entry = ElementTree.SubElement(root, "object")
        _add(entry, "name", names[label])
        own = image.rests[at] if image.rest is not None else {"pose": "Unspecified", "truncated": "0"}
        add_rest(entry, {tag: value for tag, value in own.items() if tag not in _OWN})
        _add(entry, "difficult", int(bool(image.flags[at])))
        detail = f"{classes[label]!r}, corners {', '.join(f'{x:g}' for x in image.corners[at])}"
        if image.flags[at] in ("crowd", "ignore"):
            summary.change("box", image.shown, f"{image.flags[at]} is written as difficult", detail)
        box = ElementTree.SubElement(entry, "bndbox")
        corners, rounded = _whole_corners(image.corners[at])
        if rounded:
            summary.change("box", image.shown, "corners are rounded to whole pixels", detail)
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            _add(box, name, value)
        if image.scores is not None:
            _add(entry, "score", f"{image.scores[at]:.6f}")
    return root


def _whole_corners(corners: Sequence[float]) -> tuple[list[int], bool]:
    """Corners from 1 on, and whether they are not exactly the box."""
    whole = [round(x) for x in corners]
    rounded = whole != list(corners)
    for low, high in ((0, 2), (1, 3)):
        if whole[high] <= whole[low]:
            whole[low] = int(corners[low] // 1)
            whole[high] = whole[low] + 1
    return [x + 1 for x in whole], rounded


def _add(parent: ElementTree.Element, name: str, value: object) -> None:
    ElementTree.SubElement(parent, name).text = sound_text(value)
