"""Export as YOLO: one text file of labels per image, and ``data.yaml``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.transfer.exporting.labelled import LabelledImage, labelled_images
from deeplake_mmdet.transfer.exporting.pictures import Pictures
from deeplake_mmdet.transfer.exporting.polygons import one_polygon
from deeplake_mmdet.transfer.exporting.reading import ExportedLake
from deeplake_mmdet.transfer.exporting.running import run_export
from deeplake_mmdet.transfer.exporting.summary import ExportSummary

__all__ = ["export_yolo"]

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # which YAML does not take as they are
_UNSAYABLE = {
    "crowd": "a crowd, which YOLO cannot say",
    "ignore": "to be ignored, which YOLO cannot say",
    "difficult": "difficult, which YOLO cannot say",
}


def export_yolo(
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
    """Write a lake for YOLO: ``FOLDER/data.yaml``, ``FOLDER/images/`` and ``FOLDER/labels/``.

    Each image has a file of the same name in ``labels``, empty if it has no boxes, with a line
    ``class x y width height`` for each: the centre and the size as parts of the image's width and height.
    ``data.yaml`` names the classes and gives all images as ``train`` and as ``val``. Numbers have eight
    decimals; boxes are cut off at the image's edges, and left out where nothing remains. Crowds, and objects
    to be ignored or difficult, are left out, too: YOLO has no word for them.

    If any object has a mask, all have lines ``class x1 y1 x2 y2 ...``: Ultralytics takes one kind of line
    only. Parts of a mask are joined, holes filled (see `one_polygon`); objects without have their box's
    corners. With ``predictions`` each line ends with the score, as Ultralytics' ``save_conf`` writes it.

    Image files are those of `export_coco`; their ending is that of what they hold.

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
        "yolo",
        lake,
        folder,
        _write,
        last="data.yaml",
        image_folder="images",
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
    labels = folder / "labels"
    labels.mkdir()
    polygons = lake.has_masks()
    reserved = ("images", "labels")  # Ultralytics puts the last one for the other
    for image in labelled_images(lake, pictures, labels, ".txt", summary, progress, reserved=reserved):
        file = labels / f"{image.name.rpartition('.')[0]}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [line + "\n" for line in _lines(image, polygons, summary)]
        file.write_text("".join(lines), encoding="ascii")
        summary.boxes += len(lines)
    where = "images" if pictures.are_written else "images  # not exported"
    names = "".join(f"  {number}: {_quoted(name)}\n" for number, name in enumerate(lake.view.classes))
    (folder / "data.yaml").write_text(f"train: {where}\nval: {where}\nnames:\n{names}", encoding="utf-8")
    summary.notes.append("data.yaml gives all images as train and as val: divide them, or name others")
    if polygons:
        summary.notes.append("Labels are polygons, as the lake has masks")


def _lines(image: LabelledImage, polygons: bool, summary: ExportSummary) -> Iterable[str]:
    size = np.array([image.width, image.height], np.float64)
    for at, label in enumerate(image.labels):
        detail = f"box {', '.join(f'{x:g}' for x in image.corners[at])}"
        if image.flags[at]:
            summary.leave_out("box", image.shown, _UNSAYABLE[image.flags[at]], detail)
            continue
        corners = np.array(image.corners[at], np.float64).reshape(2, 2)
        inside = np.clip(corners, 0, size)
        if not (inside[1] > inside[0]).all():
            summary.leave_out("box", image.shown, "box lies outside the image, or has no area", detail)
            continue
        numbers = [*(inside.sum(axis=0) / 2 / size), *((inside[1] - inside[0]) / size)]
        if polygons:
            points, changes = one_polygon(image.masks[at])
            for change in changes:
                summary.change("mask", image.shown, change, detail)
            if points is None:
                summary.change("box", image.shown, "object without a mask has its box's corners", detail)
                left, top, right, bottom = inside.reshape(-1)
                points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            else:
                summary.masks += 1
                if (points < 0).any() or (points > size).any():
                    summary.change("mask", image.shown, "mask is cut off at the image's edges", detail)
            numbers = list((np.clip(points, 0, size) / size).reshape(-1))
        elif (inside != corners).any():
            summary.change("box", image.shown, "box is cut off at the image's edges", detail)
        if image.scores is not None:
            numbers.append(image.scores[at])
        yield " ".join([str(label), *(f"{number:.8f}".rstrip("0").rstrip(".") for number in numbers)])


def _quoted(name: str) -> str:
    """A text of YAML: one of JSON, in which YAML takes fewer characters as they are."""
    text = json.dumps(name, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
