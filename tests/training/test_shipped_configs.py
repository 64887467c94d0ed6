"""The configs in ``configs/``: each trains two steps and validates, from random weights, on small images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

from deeplake_mmdet import import_coco, load_config, train

CONFIGS = Path(__file__).parents[2] / "configs"
ON_ONE_CLASS = ("rtmdet", "yolox", "faster_rcnn", "mask_rcnn", "dino", "yolov3_2x")
# Their steps are heavy even on small images.
SLOW = ("faster_rcnn", "mask_rcnn", "dino")
# What else has to be said: weights of the backbone that 2.x's base names, and fewer queries than 900 places.
FEW_QUERIES = {"model.num_queries": 20, "model.test_cfg.max_per_img": 20}
OWN_OPTIONS = {"yolov3_2x": {"model.backbone.init_cfg": None}, "dino": FEW_QUERIES}
SMALL = 96


@pytest.fixture(scope="module")
def lakes(tmp_path_factory) -> Path:
    """A folder with ``lakes/train``, ``lakes/val`` (four images, one class, polygons), ``lakes/old``."""
    folder = tmp_path_factory.mktemp("user")
    images, objects = [], []
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(4):
        picture = rng.integers(0, 256, (72, 96, 3), np.uint8)
        left, top = (int(value) for value in rng.integers(4, 30, 2))
        cv2.rectangle(picture, (left, top), (left + 40, top + 30), (0, 90, 200), -1)
        cv2.imwrite(str(folder / f"images/{number}.jpg"), picture)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 96, "height": 72})
        corners = [left, top, left + 40, top, left + 40, top + 30, left, top + 30]
        objects.append(
            {"id": number + 1, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 1200}
            | {"bbox": [left, top, 40, 30], "segmentation": [corners]}
        )
    file = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "brick"}]}
    (folder / "brick.json").write_text(json.dumps(file))
    for split in ("train", "val"):
        import_coco(folder / "brick.json", folder / "lakes" / split, images=folder / "images", progress=False)
    with ZipFile(CONFIGS.parent / "tests/data/v3_lake.zip") as archive:
        archive.extractall(folder / "lakes/old")
    return folder


def shrunk(node: Any, key: str = "") -> Any:
    """The config with every image at most `SMALL` pixels wide and high."""
    if isinstance(node, Mapping):
        return {name: shrunk(value, name) for name, value in node.items()}
    sides = isinstance(node, (list, tuple)) and all(isinstance(side, int) for side in node)
    if sides and key in ("scale", "scales", "img_scale", "crop_size", "size", "border"):
        return tuple(int(math.copysign(min(abs(side), SMALL), side)) for side in node)
    return type(node)(shrunk(value, key) for value in node) if isinstance(node, (list, tuple)) else node


def trained(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(folder)
    cfg = load_config(CONFIGS / f"{name}.py")
    assert str(cfg.load_from).startswith("https://")  # what a user wants to start from
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False)
        cfg[f"{split}_dataloader"] = shrunk(loader)
    if cfg.model.data_preprocessor.get("batch_augments"):
        cfg.model.data_preprocessor.batch_augments = None
    for hook in cfg.get("custom_hooks") or []:
        hook.update(shrunk(dict(hook)))
    # Two steps: four images. Runs that end before a schedule's own epochs leave the rest of it out.
    options = {"load_from": None, "train_cfg.max_epochs": 1, "train_cfg.val_interval": 1}
    options |= {"train_cfg.dynamic_intervals": None, "default_hooks.logger.interval": 1}
    options |= {"default_hooks.checkpoint.interval": 1}
    options |= OWN_OPTIONS.get(name, {})
    return train(cfg, work_dir=folder / "runs" / name, cfg_options=options)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ON_ONE_CLASS]
)
def test_it_trains_two_steps_and_validates(name, lakes, monkeypatch):
    run = trained(name, lakes, monkeypatch)
    kinds = ("bbox", "segm") if name == "mask_rcnn" else ("bbox",)
    assert all(0 <= run.metrics[f"coco/{kind}_mAP"] <= 1 for kind in kinds)
    steps = losses(run.work_dir)
    assert len(steps) == 2
    assert all(math.isfinite(loss) for loss in steps)
    assert run.best_checkpoint or run.last_checkpoint


def test_a_v3_lake_trains_too(lakes, monkeypatch):
    run = trained("v3_lake", lakes, monkeypatch)
    assert run.metrics["coco/bbox_mAP"] >= 0


def losses(work_dir: Path) -> list[float]:
    files = list(Path(work_dir).rglob("vis_data/scalars.json"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]
