"""Random data sets for comparisons with reference implementations.

Each seed draws one of several kinds, so that between them they cover crowds, ignored objects, images and
classes without objects, images without predictions, none at all, equal scores, tiny and huge boxes, one
class, a thousand predictions on an image, polygons of several parts, masks with holes, and run lengths.
"""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

KINDS = (
    "plain", "equal scores", "crowds", "one class", "sizes", "many", "no predictions", "sparse",
    "ties in overlap",
)  # fmt: skip
SIDE = 120


def random_boxes(rng, count, sizes=(4.0, 15.0, 40.0, 80.0), side=SIDE):
    """(left, top, width, height), shape (count, 4)."""
    size = rng.choice(sizes, (count, 1)) * rng.uniform(0.5, 1.4, (count, 2))
    return np.concatenate([rng.uniform(-5, side - 10, (count, 2)), size], axis=1)


def random_data_set(seed, masks=False):
    """A COCO data set and COCO results of it: (truth, results)."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    classes = 1 if kind == "one class" else int(rng.integers(2, 6))
    images = 2 if kind == "many" else int(rng.integers(1, 14))
    sizes = (0.05, 0.9, 30.0, 2000.0) if kind == "sizes" and not masks else (4.0, 15.0, 40.0, 80.0)
    ids = rng.permutation(7 * images)[:images].tolist()
    categories = rng.permutation(40)[:classes].tolist()
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIDE, "height": SIDE} for i in ids],
        "categories": [{"id": k, "name": f"class {k}"} for k in categories],
        "annotations": [],
    }
    used = categories if rng.random() < 0.7 else categories[:-1] or categories  # a class without objects
    results = []
    for image in ids:
        count = int(rng.choice([0, 1, 3, 9]) if kind != "many" else 12)
        for box in random_boxes(rng, count, sizes):
            truth["annotations"].append(
                _annotation(rng, kind, image, used, box, len(truth["annotations"]), masks)
            )
        results += _results(rng, kind, image, truth, categories, sizes, masks)
    return truth, [] if kind == "no predictions" else results


def _annotation(rng, kind, image, categories, box, number, masks):
    if kind == "ties in overlap":
        box = (box / 20).round() * 20 + [0, 0, 20, 20]
    often = 0.4 if kind == "crowds" else 0.1
    annotation = {
        "id": number + 1,
        "image_id": image,
        "category_id": int(rng.choice(categories)),
        "bbox": box.tolist(),
        "area": float(box[2] * box[3] * rng.uniform(0.4, 1)),
        "iscrowd": int(rng.random() < often),
    }
    if rng.random() < often:
        annotation["ignore"] = 1
    if masks:
        annotation["segmentation"] = random_mask(rng, box, crowd=annotation["iscrowd"])
        if rng.random() < 0.1:
            annotation["area"] = 50.0
    return annotation


def _results(rng, kind, image, truth, categories, sizes, masks):
    boxes, labels = [], []
    for annotation in truth["annotations"]:
        if annotation["image_id"] == image:
            for _ in range(int(rng.integers(4))):
                noise = 1 if kind == "ties in overlap" else rng.normal(1, 0.08, 4)
                boxes.append(np.array(annotation["bbox"]) * noise)
                wrong = rng.random() < 0.15
                labels.append(int(rng.choice(categories)) if wrong else annotation["category_id"])
    more = (
        1000
        if kind == "many" and not masks and image == truth["images"][0]["id"]
        else int(rng.choice([0, 2, 12]))
    )
    boxes += list(random_boxes(rng, more, sizes))
    labels += rng.choice(categories, more).tolist()
    if kind == "sparse" and rng.random() < 0.6:
        boxes, labels = [], []
    found = []
    for box, label in zip(boxes, labels, strict=True):
        score = rng.choice([0.1, 0.5, 0.9]) if kind in ("equal scores", "ties in overlap") else rng.random()
        box = np.concatenate([box[:2], np.abs(box[2:])])
        entry = {"image_id": image, "category_id": int(label), "bbox": box.tolist(), "score": float(score)}
        if masks:
            entry["segmentation"] = run_lengths(dense_ellipse(box, hole=rng.random() < 0.3))
        found.append(entry)
    return found


def random_mask(rng, box, crowd=False):
    """A polygon, polygons, compressed or plain run lengths, some with a hole; plain ones for crowds."""
    form = "plain" if crowd else rng.choice(["polygon", "parts", "compressed", "plain", "hole"])
    x, y, width, height = box
    if form == "polygon":
        return [ring(x, y, width, height, int(rng.integers(3, 9)))]
    if form == "parts":
        half = width / 2.5
        return [ring(x, y, half, height, 6), ring(x + width - half, y, half, height, 5)]
    dense = dense_ellipse(box, hole=form == "hole")
    return plain_run_lengths(dense) if form == "plain" else run_lengths(dense)


def ring(x, y, width, height, corners):
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([x + width * (1 + np.cos(angles)) / 2, y + height * (1 + np.sin(angles)) / 2], axis=1)
    return points.reshape(-1).tolist()


def dense_ellipse(box, hole=False, side=SIDE):
    x, y, width, height = box
    rows, columns = np.mgrid[:side, :side] + 0.5
    with np.errstate(over="ignore"):
        radius = ((columns - x - width / 2) / max(width, 1) * 2) ** 2 + (
            (rows - y - height / 2) / max(height, 1) * 2
        ) ** 2
    inside = radius <= 1
    return inside & (radius > 0.2) if hole else inside


def run_lengths(dense):
    found = coco_mask.encode(np.asfortranarray(dense, np.uint8))
    return {"size": found["size"], "counts": found["counts"].decode()}


def plain_run_lengths(dense):
    flat = np.asarray(dense, np.uint8).T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return {"size": list(dense.shape), "counts": [0, *counts] if flat[0] else counts}
