"""Balancing the classes of several datasets together, as MMDetection 2.x did."""

from __future__ import annotations

import json
import math
from collections import Counter

from mmdet.registry import DATASETS
from mmdet.utils import register_all_modules
from mmengine.registry import DefaultScope

from deeplake_mmdet.legacy import convert_config_dict


def write(file, first, labels_by_image):
    images = [
        {"id": first + n, "file_name": f"{n}.jpg", "width": 64, "height": 64}
        for n in range(len(labels_by_image))
    ]
    one = {"bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
    labels = [(first + row, label) for row, own in enumerate(labels_by_image) for label in own]
    boxes = [
        {**one, "id": n, "image_id": image, "category_id": label} for n, (image, label) in enumerate(labels)
    ]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return str(file)


def test_class_balanced_dataset_around_a_list(tmp_path):
    labels = [[[1], [1], [1, 2]], [[1], [2], [1, 1]]]
    files = [write(tmp_path / f"{n}.json", 10 * n, part) for n, part in enumerate(labels)]
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
    inner = {
        "type": "CocoDataset",
        "classes": ("a", "b"),
        "ann_file": files,
        "img_prefix": "d/",
        "pipeline": steps,
    }
    train = {"type": "ClassBalancedDataset", "oversample_thr": 0.9, "dataset": inner}
    converted, _ = convert_config_dict({"data": {"train": train}, "optimizer": {"type": "SGD", "lr": 1}})
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = DATASETS.build(converted["train_dataloader"]["dataset"])
    # The paper's formula over all images together: a class in a share f of them asks for sqrt(thr / f).
    images = [set(row) for part in labels for row in part]
    share = {label: sum(label in row for row in images) / len(images) for label in (1, 2)}
    asked = {label: max(1.0, math.sqrt(0.9 / found)) for label, found in share.items()}
    expected = [math.ceil(max(asked[label] for label in row)) for row in images]
    assert [Counter(dataset.repeat_indices)[row] for row in range(len(images))] == expected
    assert max(expected) > 1
    assert [dataset.dataset.get_cat_ids(row) for row in range(6)] == [[0], [0], [0, 1], [0], [1], [0, 0]]
