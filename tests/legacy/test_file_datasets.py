"""Datasets of files find their images where 2.x found them, with a prefix, an empty one or none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zoo_compare
from mmdet.registry import DATASETS
from mmengine.registry import DefaultScope
from PIL import Image

from deeplake_mmdet.legacy import convert_config_dict

CLASSES = ("nut",)
XML = """<annotation><folder>images</folder><size><width>64</width><height>48</height></size>
<object><name>nut</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("files").resolve()
    for part in ("JPEGImages", "Annotations", "images"):
        (root / part).mkdir()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(root / "JPEGImages/a.jpg")
    (root / "Annotations/a.xml").write_text(XML)
    (root / "list.txt").write_text("a\n")
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 25, 25], "area": 625, "iscrowd": 0}]
    image = {"id": 1, "file_name": "JPEGImages/a.jpg", "width": 64, "height": 48}
    truth = {"images": [image], "annotations": boxes, "categories": [{"id": 1, "name": "nut"}]}
    (root / "coco.json").write_text(json.dumps(truth))
    zoo_compare.register()
    return root


def paths(folder, kind, **settings):
    """The full paths of the images of a training dataset; run in the folder."""
    steps = [{"type": "LoadImageFromFile"}, {"type": "Collect", "keys": ["img"]}]
    node = {"type": kind, "pipeline": steps, "classes": CLASSES, **settings}
    cfg = {"data": {"train": node}, "runner": {"type": "EpochBasedRunner", "max_epochs": 1}}
    dataset = DATASETS.build(convert_config_dict(cfg)[0]["train_dataloader"]["dataset"])
    return [str(Path(dataset[index]["data_samples"].img_path).resolve()) for index in range(len(dataset))]


@pytest.mark.parametrize("kind", ["CocoDataset", "VOCDataset", "XMLDataset"])
@pytest.mark.parametrize("prefix", ["given", "empty", "missing", "none", "root"])
def test_images_are_where_they_were(folder, monkeypatch, kind, prefix):
    monkeypatch.chdir(folder)
    file = "coco.json" if kind == "CocoDataset" else "list.txt"
    settings = {
        "given": {"ann_file": str(folder / file), "img_prefix": f"{folder}/"},
        "empty": {"ann_file": file, "img_prefix": ""},
        "missing": {"ann_file": file},
        "none": {"ann_file": file, "img_prefix": None},
        "root": {"ann_file": file, "img_prefix": "", "data_root": f"{folder}/"},
    }[prefix]
    assert paths(folder, kind, **settings) == [str(folder / "JPEGImages/a.jpg")]


@pytest.mark.parametrize(
    ("kind", "split", "name"),
    [
        ("OpenImagesDataset", "train", "train-image-metas.pkl"),
        ("OpenImagesDataset", "val", "validation-image-metas.pkl"),
        ("OpenImagesChallengeDataset", "train", "challenge-2019-train-metas.pkl"),
    ],
)
def test_open_images_have_their_sizes_from_a_file(kind, split, name):
    """2.x took them from the images of training; 3.x demands a file of them, which MMDetection offers."""
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
    steps += [{"type": "DefaultFormatBundle"}, {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]}]
    boxes = "boxes.txt" if "Challenge" in kind else "boxes.csv"
    files = {"ann_file": f"data/oi/{boxes}", "img_prefix": "data/oi", "label_file": "data/oi/names.csv"}
    dataset = {"type": kind, **files, "hierarchy_file": "data/oi/tree.json", "pipeline": steps}
    converted, notes = convert_config_dict({"data": {split: dataset}, "model": {"type": "RetinaNet"}})
    found = converted[f"{split}_dataloader"]["dataset"]
    assert found["meta_file"] == f"data/oi/{name}"
    assert [note.severity for note in notes if note.key == f"data.{split}.meta_file"] == ["approximated"]
    zoo_compare.register()
    with DefaultScope.overwrite_default_scope("mmdet"):
        DATASETS.build({**found, "pipeline": [], "lazy_init": True})
    dataset["meta_file"] = "mine.pkl"
    converted, notes = convert_config_dict({"data": {split: dataset}, "model": {"type": "RetinaNet"}})
    assert converted[f"{split}_dataloader"]["dataset"]["meta_file"] == "mine.pkl"
    assert not [note for note in notes if note.key == f"data.{split}.meta_file"]
