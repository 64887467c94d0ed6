"""A hypothesis strategy for data sets as odd as they come.

Crowds, ignored objects, equal scores, empty images, images with predictions only, classes that never occur,
areas on the borders of small, medium and large or beyond all of them, more than a hundred predictions, boxes
on a grid, beside the image, without width or height, float32, scores of 0 and of a hair above 1, empty masks
and masks with holes.
"""

from __future__ import annotations

import numpy as np
from generator import run_lengths
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

AREAS = (0.0, 1024.0, 9216.0, np.nextafter(1024, 0), np.nextafter(9216, 1e5), 1e10, 1e11)
LIMITS = ((1, 10, 100), (100, 300, 1000), (3, 7, 1000), (200, 300, 1000))
THRESHOLDS = (None, None, [0.5], [0.3, 0.75], [0.05, 0.1, 1.0])


@st.composite
def odd_data_sets(draw, masks):
    """(truth, results, limits, IoU thresholds, whether classes matter)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, images = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    side = draw(st.sampled_from([40, 40, 150]))
    scores = draw(st.sampled_from(["all", "ties", "float32", "ends"]))
    grid, borders, flat = draw(st.sampled_from([None, 1, 4, 8])), draw(st.booleans()), draw(st.booleans())
    many = draw(st.booleans()) and not masks

    def boxes(count):
        size = rng.choice([0.5, 8, 32, 96], (count, 1)) * rng.uniform(0.5, 1.3, (count, 2))
        found = np.concatenate([rng.uniform(-5, side - 10, (count, 2)), size], axis=1)
        if grid:
            found = np.round(found / grid) * grid
        if borders:
            chosen = rng.random(count) < 0.4
            found[chosen, 2:] = rng.choice([9.0, 16.0, 32.0, 64.0, 96.0], (int(chosen.sum()), 2))
        if flat:
            found[rng.random(count) < 0.2, 2 + int(rng.integers(2))] = 0
        return found

    categories = rng.permutation(20)[:classes].tolist()
    seen = [category for category in categories if rng.random() < 0.8]
    truth = {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "width": side, "height": side}
            for number in rng.permutation(30)[:images].tolist()
        ],
        "categories": [{"id": number, "name": str(number)} for number in categories],
        "annotations": [],
    }
    results = []
    for image in truth["images"]:
        near = []
        for box in boxes(int(rng.choice([0, 1, 3, 7])) if seen else 0):
            category = int(rng.choice(seen))
            area = rng.choice([box[2] * box[3], box[2] * box[3] / 2, *AREAS])
            annotation = {
                "id": len(truth["annotations"]) + 1, "image_id": image["id"], "category_id": category,
                "bbox": box.tolist(), "area": float(area), "iscrowd": int(rng.random() < 0.2),
                "difficult": int(rng.random() < 0.1),
            }  # fmt: skip
            truth["annotations"].append(annotation)
            for _ in range(int(rng.integers(4))):
                moved = box * (1 if rng.random() < 0.3 else rng.normal(1, 0.1, 4))
                near.append((moved, category if rng.random() < 0.9 else int(rng.choice(categories))))
        noise = 230 if many and image is truth["images"][0] else int(rng.choice([0, 2, 9]))
        chosen = categories[:1] if noise > 200 else categories
        near += [(box, int(rng.choice(chosen))) for box in boxes(noise)]
        for place in rng.permutation(len(near)).tolist():
            box, category = near[place]
            box = np.concatenate([box[:2], np.abs(box[2:])])
            score = {
                "all": rng.random(),
                "ties": rng.choice([0.1, 0.5, 0.9]),
                "float32": np.float32(rng.random()),
                "ends": rng.choice([0.0, 1.0, 1 + 1e-7]),
            }[scores]
            if scores == "float32":
                box = box.astype(np.float32)
            entry = {"image_id": image["id"], "category_id": category, "bbox": box.tolist()}
            results.append({**entry, "score": float(score)})
    if masks:
        for entry in truth["annotations"] + results:
            mask = _mask(rng, entry["bbox"], side)
            if "score" in entry and isinstance(mask, list):  # COCO's results have run lengths only
                mask = coco_mask.merge(coco_mask.frPyObjects(mask, side, side))
                mask["counts"] = mask["counts"].decode()
            entry["segmentation"] = mask
    chosen = (st.sampled_from(LIMITS), st.sampled_from(THRESHOLDS), st.sampled_from([True, True, False]))
    return truth, results, *map(draw, chosen)


def _mask(rng, box, side):
    left, top, width, height = box
    dense = np.zeros((side, side), np.uint8)
    dense[max(int(top), 0) : max(int(top + height), 0), max(int(left), 0) : max(int(left + width), 0)] = 1
    kind = rng.choice(["polygon", "parts", "whole", "holes", "empty"], p=[0.3, 0.2, 0.3, 0.15, 0.05])
    if kind in ("polygon", "parts"):
        middle, right, bottom = left + width / 2, left + width, top + height
        halves = [[left, top, middle, top, middle, bottom], [middle, top, right, top, right, bottom]]
        return halves if kind == "parts" else [[left, top, right, top, right, bottom, left, middle]]
    if kind == "holes":
        dense[::3, ::2] = 0
    return run_lengths(dense * (kind != "empty"))
