"""Lakes and data samples made from COCO data sets."""

from __future__ import annotations

import io
import json

import numpy as np
import torch
from PIL import Image

from deeplake_mmdet.lake import ImageRecord, LakeWriter, Source, open_view

_FLAGS = {"iscrowds": "iscrowd", "difficults": "difficult", "ignores": "ignore"}


def blank(width, height):
    out = io.BytesIO()
    Image.new("L", (width, height)).convert("RGB").save(out, "jpeg")
    return out.getvalue()


def make_lake(path, truth, leave_out=()):
    """Write a COCO data set as a lake, images in the file's order. ``leave_out`` names columns."""
    indices = {category["id"]: number for number, category in enumerate(truth["categories"])}
    columns = ["areas", "iscrowds", "image_id"]
    for column, key in _FLAGS.items():
        if column != "iscrowds" and any(key in annotation for annotation in truth["annotations"]):
            columns.append(column)
    if any("segmentation" in annotation for annotation in truth["annotations"]):
        columns.append("segmentations")
    if any("neg_category_ids" in image for image in truth["images"]):
        columns.append("image_remainder")
    columns = [column for column in columns if column not in leave_out]
    options = {"box_format": "ltwh", "image_format": "jpeg", "optional_columns": tuple(columns)}
    if "category_ids" not in leave_out:
        options["category_ids"] = list(indices)
    images = {}
    with LakeWriter(str(path), class_names=[c["name"] for c in truth["categories"]], **options) as lake:
        if any("frequency" in category for category in truth["categories"]):
            kept = [{"has": {"frequency": category["frequency"]}} for category in truth["categories"]]
            lake.remainder["coco"] = json.dumps({"categories": kept})
        for entry in truth["images"]:
            size = entry["width"], entry["height"]
            own = [a for a in truth["annotations"] if a["image_id"] == entry["id"]]
            found = {
                "boxes": np.array([a["bbox"] for a in own], np.float64).reshape(-1, 4),
                "labels": np.array([indices[a["category_id"]] for a in own], int),
                "areas": np.array([a["area"] for a in own], np.float64),
                "image_id": entry["id"],
                "image_remainder": {"has": {k: v for k, v in entry.items() if k.endswith("category_ids")}},
                "segmentations": [a.get("segmentation") for a in own],
                **{column: np.array([a.get(key, 0) for a in own], int) for column, key in _FLAGS.items()},
            }
            kept = {name: found[name] for name in ("boxes", "labels", *columns)}
            image = images.setdefault(size, blank(*size))
            lake.append(ImageRecord(image, *size, entry["file_name"], **kept))
    return str(path)


def make_view(path, truth, classes=None, leave_out=()):
    return open_view(Source(make_lake(path, truth, leave_out)), classes=classes)


def sample(view, row, boxes, scores, labels, **more):
    """A data sample as an evaluator gets it; boxes are corners."""
    arrays = {"bboxes": np.asarray(boxes).reshape(-1, 4), "scores": scores, "labels": labels}
    instances = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return {"img_path": view.uri(row), "pred_instances": instances | more, "ori_shape": (0, 0)}


def samples_of_results(view, results, dense=None):
    """COCO results as data samples, one per row; float32, as networks give them. ``dense``: mask arrays."""
    from pycocotools import mask as coco_mask

    categories = view.columns[view.roles.gt_labels].metadata["category_ids"]
    names = dict(zip(categories, view.lake_classes, strict=True))
    samples = []
    for row, image in enumerate(view.table.img_ids.tolist()):
        own = [r for r in results if r["image_id"] == image and names[r["category_id"]] in view.classes]
        corners = np.array([r["bbox"] for r in own], np.float32).reshape(-1, 4)
        with np.errstate(invalid="ignore"):  # of boxes that reach from -inf to inf
            corners[:, 2:] += corners[:, :2]
        more = {}
        if dense is not None:
            rles = [r["segmentation"] for r in own]
            more["masks"] = rles
            if dense:
                height, width = int(view.table.heights[row]), int(view.table.widths[row])
                stack = [coco_mask.decode(rle) for rle in rles]
                more["masks"] = torch.from_numpy(np.array(stack, bool).reshape(-1, height, width))
        labels = np.array([view.classes.index(names[r["category_id"]]) for r in own], np.int64)
        scores = np.array([r["score"] for r in own], np.float32)
        samples.append(sample(view, row, corners, scores, labels, **more))
    return samples


def rounded_results(results):
    """Results as they are once a network's float32 corners have been turned into sizes."""
    rounded = []
    for entry in results:
        corners = np.array(entry["bbox"], np.float32)
        corners[2:] += corners[:2]
        x, y, right, bottom = corners.tolist()
        score = float(np.float32(entry["score"]))
        rounded.append({**entry, "bbox": [x, y, right - x, bottom - y], "score": score})
    return rounded


def evaluate(metric, samples, batch=3):
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start : start + batch])
    return metric.evaluate(len(samples))
