"""The folder in which the pages' code is run: small files, lakes, a config and a trained detector."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

_CLASSES = ("circle", "square", "triangle")
_SIZE = (96, 64)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, command_in_copy: Callable[..., Any]) -> Path:
    """What the pages speak of. Tests work on copies of it."""
    from mmdet.utils import register_all_modules

    import deeplake_mmdet.loop.predict
    import deeplake_mmdet.training  # noqa: F401  (copies of this process need not import them again)

    register_all_modules()
    folder = tmp_path_factory.mktemp("docs") / "world"
    shutil.copytree(Path(__file__).parent / "world", folder)
    _write_data(folder)

    def command(*args: str) -> None:
        done = command_in_copy(*args, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    for name, file in (("train", "annotations.json"), ("val", "val.json"), ("new", "val.json")):
        command("import", "coco", file, f"lakes/{name}", "--images", "images")
    command("train", "config.py", "--work-dir", "runs/first")
    (folder / "runs/first/epoch_1.pth").rename(folder / "runs/first/epoch_12.pth")
    (folder / "runs/first/last_checkpoint").write_text("runs/first/epoch_12.pth")
    command("test", "config.py", "runs/first/epoch_12.pth", "--out", "predictions.json")
    for name in ("before.json", "after.json"):
        shutil.copy(folder / "predictions.json", folder / name)
    return folder


def _write_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for images, names in (
        ("images", [f"{name}.jpg" for name in "abcdefgh"]),
        ("more_images", ["m.jpg", "n.jpg"]),
        ("photos", ["a.jpg", "b.jpg"]),
    ):
        (folder / images).mkdir()
        for name in names:
            noise = rng.integers(0, 255, (*_SIZE[::-1], 3), np.uint8)
            cv2.imwrite(str(folder / images / name), cv2.GaussianBlur(noise, (9, 9), 0))
    _write_coco(folder / "annotations.json", [f"{name}.jpg" for name in "abcdef"], _CLASSES)
    shutil.copy(folder / "annotations.json", folder / "train.json")
    _write_coco(folder / "val.json", ["g.jpg", "h.jpg"], _CLASSES)
    _write_coco(folder / "more.json", ["m.jpg", "n.jpg"], ("round", *_CLASSES[1:]))
    _write_voc(folder / "VOCdevkit" / "VOC2007", folder / "images")
    shutil.copytree(folder / "VOCdevkit" / "VOC2007", folder / "BCCD_Dataset" / "BCCD")
    _write_yolo(folder)
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        archive.write(folder / "annotations.json", "train/_annotations.coco.json")
        for file in sorted((folder / "images").iterdir()):
            archive.write(file, f"train/{file.name}")
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        for file in sorted((folder / "VOCdevkit" / "VOC2007").rglob("*.*")):
            archive.write(file, file.relative_to(folder / "VOCdevkit"))


def _boxes(number: int) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of the two objects of an image."""
    return [(8 + number, 6, 20, 18), (50, 20 + number, 24, 30)]


def _write_coco(file: Path, names: list[str], classes: tuple[str, ...]) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        images.append({"id": number, "file_name": name, "width": _SIZE[0], "height": _SIZE[1]})
        for place, (x, y, w, h) in enumerate(_boxes(number)):
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "iscrowd": 0, "area": w * h,
                    "category_id": (number + place) % 3 + 1, "bbox": [x, y, w, h],
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def _write_voc(folder: Path, images: Path) -> None:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for number, image in enumerate(sorted(images.iterdir())):
        shutil.copy(image, folder / "JPEGImages")
        objects = "".join(
            f"<object><name>{_CLASSES[(number + place) % 3]}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
            f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
            for place, (x, y, w, h) in enumerate(_boxes(number))
        )
        size = f"<size><width>{_SIZE[0]}</width><height>{_SIZE[1]}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{image.name}</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{image.stem}.xml").write_text(text)
    for split, stems in (("train", "abcdef"), ("val", "gh")):
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))


def _write_yolo(folder: Path) -> None:
    for split, stems in (("train", "abcdef"), ("val", "gh")):
        for kind in ("images", "labels"):
            (folder / "yolo" / kind / split).mkdir(parents=True)
        for number, stem in enumerate(stems):
            shutil.copy(folder / "images" / f"{stem}.jpg", folder / "yolo/images" / split)
            lines = [
                f"{(number + place) % 3} {(x + w / 2) / _SIZE[0]} {(y + h / 2) / _SIZE[1]} "
                f"{w / _SIZE[0]} {h / _SIZE[1]}\n"
                for place, (x, y, w, h) in enumerate(_boxes(number))
            ]
            (folder / "yolo/labels" / split / f"{stem}.txt").write_text("".join(lines))
    names = ", ".join(_CLASSES)
    (folder / "data.yaml").write_text(f"path: yolo\ntrain: images/train\nval: images/val\nnames: [{names}]\n")
