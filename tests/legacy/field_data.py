"""Small data in the folders where the configs of `field/` look for theirs; no test of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deeplake_mmdet import import_coco

WIDE, HIGH = 96, 64
TRASH = ("General trash", "Paper", "Plastic bag")
VOC = ("dog", "person", "car")
_XML = "<annotation><folder>{folder}</folder><filename>{name}.jpg</filename>{size}{objects}</annotation>"
_SIZE = f"<size><width>{WIDE}</width><height>{HIGH}</height><depth>3</depth></size>"
_OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def make(root: Path) -> None:
    """Make all data below a folder: files of COCO and Pascal VOC, lakes of some of them."""
    # Not before deeplake_mmdet, whose stand-in for mmcv's ops has to be there first.
    from mmdet.datasets import CityscapesDataset, CocoDataset

    data = root / "data"
    folded(data / "trash")
    coco(data / "balloon/train", "annotation_coco.json", ("balloon",), 4, seed=10)
    coco(data / "balloon/val", "annotation_coco.json", ("balloon",), 2, seed=20)
    for split, count in (("train", 4), ("val", 2)):
        for name, classes in (
            ("coco", CocoDataset.METAINFO["classes"]),
            ("cityscapes", CityscapesDataset.METAINFO["classes"]),
            ("wildlife", ("zebra", "empty nest", "lion")),
        ):
            images, file = {
                "coco": (f"{split}2017", f"../annotations/instances_{split}2017.json"),
                "cityscapes": (
                    f"leftImg8bit/{split}",
                    f"../../annotations/instancesonly_filtered_gtFine_{split}.json",
                ),
                "wildlife": (f"images/{split}", f"../../labels/{split}.json"),
            }[name]
            empty = 2 if name == "wildlife" and split == "train" else 0
            coco(data / name / images, file, classes, count + empty, seed=30, empty=empty)
    for year, splits in (("2007", ("trainval", "test")), ("2012", ("trainval", "val"))):
        voc(data / "VOCdevkit" / f"VOC{year}", splits)
    (data / "wildlife/classes.txt").write_text("zebra\nempty nest\nlion\n")
    lakes = {"lakes/trash-train": "trash/train.json", "lakes/trash-val": "trash/val.json"}
    lakes |= {"lakes/coco-train": "coco/annotations/instances_train2017.json"}
    lakes |= {"lakes/coco-val": "coco/annotations/instances_val2017.json"}
    for lake, file in lakes.items():
        images = {"lakes/coco-train": "coco/train2017", "lakes/coco-val": "coco/val2017"}.get(lake, "trash")
        import_coco(data / file, root / lake, images=data / images, progress=False)


def folded(folder: Path) -> None:
    """One folder of images for all splits, and a list of categories, as competitions give them out."""
    for number, (split, count) in enumerate((("train", 4), ("val", 2), ("test", 2))):
        coco(folder / f"batch_{number:02}", f"../{split}.json", TRASH, count, seed=number, above=True)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in TRASH))
    test = json.loads((folder / "test.json").read_text())
    (folder / "test.json").write_text(json.dumps({**test, "annotations": []}))


def coco(
    folder: Path,
    file: str,
    classes: Any,
    count: int,
    *,
    seed: int,
    above: bool = False,
    empty: int = 0,
) -> None:
    """Images with three boxes and outlines each, and their file; the last ones without objects."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    images: list[Any] = []
    objects: list[Any] = []
    for image in range(count):
        boxes = draw_image(folder / f"{image:04}.jpg", draw)
        name = f"{folder.name}/{image:04}.jpg" if above else f"{image:04}.jpg"
        images.append({"id": image, "file_name": name, "width": WIDE, "height": HIGH})
        for number, (x, y, wide, high) in enumerate(boxes if image < count - empty else ()):
            outline = [x, y, x + wide, y, x + wide, y + high, x, y + high]
            entry = {"id": len(objects) + 1, "image_id": image, "category_id": number % len(classes) + 1}
            entry |= {"bbox": [x, y, wide, high], "area": wide * high, "iscrowd": 0}
            objects.append({**entry, "segmentation": [outline]})
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(classes)]
    path = (folder / file).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))


def voc(folder: Path, splits: tuple[str, str]) -> None:
    """Pascal VOC's folders, with four images to train and two to validate."""
    draw = np.random.default_rng(int(folder.name[3:]))
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for split, count in zip(splits, (4, 2), strict=True):
        names = [f"{split}_{number}" for number in range(count)]
        for name in names:
            boxes = draw_image(folder / "JPEGImages" / f"{name}.jpg", draw)
            text = "".join(
                _OBJECT.format(VOC[number], int(number == 2), x + 1, y + 1, x + wide, y + high)
                for number, (x, y, wide, high) in enumerate(boxes)
            )
            text = _XML.format(folder=folder.name, name=name, size=_SIZE, objects=text)
            (folder / "Annotations" / f"{name}.xml").write_text(text)
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(names) + "\n")


def draw_image(path: Path, draw: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Write an image; the left, top, width and height of what is in it, in pixels."""
    pixels = draw.integers(0, 80, (HIGH, WIDE, 3), np.uint8)
    boxes = []
    for number in range(3):
        wide, high = (int(side) for side in draw.integers(14, 36, 2))
        x, y = int(draw.integers(0, WIDE - wide)), int(draw.integers(0, HIGH - high))
        pixels[y : y + high, x : x + wide] = np.roll((210, 90, 30), number)
        boxes.append((x, y, wide, high))
    Image.fromarray(pixels).save(path, quality=92)
    return boxes


def copy_configs(folder: Path, root: Path) -> None:
    """Copy the configs to where their data are."""
    shutil.copytree(folder, root, dirs_exist_ok=True)
