"""Small data sets as lakes, predictions for them, and what pycocotools makes of both."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deeplake_mmdet.evaluation import CocoMetric
from deeplake_mmdet.evaluation.coco_scores import STATISTICS
from deeplake_mmdet.lake import ImageRecord, LakeWriter, Source, open_view

SIDE = 200  # of the images; boxes of all three of COCO's sizes fit
STANDARD = (100, 300, 1000)


def blank(side=SIDE):
    out = io.BytesIO()
    Image.new("L", (side, side)).convert("RGB").save(out, "jpeg")
    return out.getvalue()


def random_boxes(rng, count):
    sizes = rng.choice([5.0, 20.0, 60.0, 130.0], (count, 1)) * rng.uniform(0.5, 1.4, (count, 2))
    return np.concatenate([rng.uniform(0, SIDE - 10, (count, 2)), np.minimum(sizes, 190)], axis=1).round(3)


def random_truth(seed, images=12, classes=3):
    """A COCO data set with crowds, images without boxes, areas of its own and unordered image ids."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(5 * images)[:images].tolist()
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIDE, "height": SIDE} for i in ids],
        "categories": [{"id": 3 * k + 1, "name": f"class {k}"} for k in range(classes)],
        "annotations": [],
    }
    for image in ids:
        for box in random_boxes(rng, rng.choice([0, 1, 3, 8])).tolist():
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image,
                    "category_id": int(3 * rng.integers(classes) + 1),
                    "bbox": box,
                    "area": round(box[2] * box[3] * rng.uniform(0.4, 1), 2),
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
    return truth


def random_predictions(seed, truth, names):
    """Per image (boxes, scores, labels); near the truth and elsewhere, with many equal scores."""
    rng = np.random.default_rng(seed + 1000)
    indices = {c["id"]: names.index(c["name"]) for c in truth["categories"] if c["name"] in names}
    found = []
    for image in truth["images"]:
        boxes, labels = [], []
        for annotation in truth["annotations"]:
            if annotation["image_id"] == image["id"] and annotation["category_id"] in indices:
                for _ in range(rng.integers(3)):
                    boxes.append(np.array(annotation["bbox"]) * rng.normal(1, 0.05, 4))
                    labels.append(indices[annotation["category_id"]])
        noise = random_boxes(rng, rng.choice([0, 2, 5]))
        boxes = np.array([*boxes, *noise], np.float32).reshape(-1, 4)
        labels = np.array([*labels, *rng.integers(0, len(names), len(noise))], np.int64)
        if rng.random() < 0.2:
            boxes, labels = boxes[:0], labels[:0]
        boxes[:, 2:] += boxes[:, :2]
        found.append((boxes, rng.choice([0.1, 0.25, 0.5, 0.9, 0.95], len(labels)).astype(np.float32), labels))
    return found


def make_view(path, truth, classes=None):
    """The truth as a lake, its images in the order of the file."""
    indices = {category["id"]: number for number, category in enumerate(truth["categories"])}
    options = {"box_format": "ltwh", "image_format": "jpeg"}
    options["optional_columns"] = ("areas", "iscrowds", "image_id")
    image = blank()
    with LakeWriter(str(path), class_names=[c["name"] for c in truth["categories"]], **options) as lake:
        for entry in truth["images"]:
            own = [a for a in truth["annotations"] if a["image_id"] == entry["id"]]
            lake.append(
                ImageRecord(
                    image,
                    entry["width"],
                    entry["height"],
                    entry["file_name"],
                    boxes=np.array([a["bbox"] for a in own], np.float64).reshape(-1, 4),
                    labels=np.array([indices[a["category_id"]] for a in own], int),
                    image_id=entry["id"],
                    areas=np.array([a["area"] for a in own], np.float64),
                    iscrowds=np.array([a["iscrowd"] for a in own], int),
                )
            )
    return open_view(Source(str(path)), classes=classes)


def sample(view, row, boxes, scores, labels):
    arrays = {"bboxes": boxes, "scores": scores, "labels": labels}
    instances = {name: torch.tensor(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return {"img_path": view.uri(row), "pred_instances": instances, "ori_shape": (SIDE, SIDE)}


def samples_of(view, predictions):
    return [sample(view, row, *arrays) for row, arrays in enumerate(predictions)]


def evaluate(samples, **options):
    metric = CocoMetric(**({"metric_items": list(STATISTICS)} | options))
    for start in range(0, len(samples), 3):
        metric.process(None, samples[start : start + 3])
    return metric.evaluate(len(samples))


def statistics(found):
    return np.array([found[f"coco/bbox_{name}"] for name in STATISTICS])


def reference(truth, predictions, names, proposal_nums=STANDARD, iou_thrs=None):
    """COCOeval, set up as mmdet's CocoMetric sets it up, before it rounds."""
    ids = {category["name"]: category["id"] for category in truth["categories"]}
    results = [
        {
            "image_id": image["id"],
            "category_id": ids[names[label]],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image, (boxes, scores, labels) in zip(truth["images"], predictions, strict=True)
        for (x1, y1, x2, y2), score, label in zip(
            boxes.tolist(), scores.tolist(), labels.tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.catIds = [ids[name] for name in names]
        evaluation.params.imgIds = [image["id"] for image in truth["images"]]
        evaluation.params.maxDets = list(proposal_nums)
        if iou_thrs is not None:
            evaluation.params.iouThrs = np.array(iou_thrs)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
