"""A small lake with predictions on it, as runs leave them."""

from __future__ import annotations

import cv2
import numpy as np

from deeplake_mmdet.evaluation import gathered_predictions
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.lake import Source, open_view

SIZE = 120


def photographs(folder, count, names, seed=0):
    """A COCO truth of coloured rectangles on grey, and its images in ``folder``."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        pixels = np.full((SIZE, SIZE, 3), 200, np.uint8)
        file = f'it\'s "{number}" <b>.png' if number == 1 else f"{number}.png"
        for _ in range(int(draw.integers(1, 5))):
            left, top, wide, high = draw.integers([0, 0, 12, 12], [80, 80, 40, 40]).tolist()
            label = int(draw.integers(0, len(names)))
            cv2.rectangle(pixels, (left, top), (left + wide, top + high), (40 + 60 * label, 90, 160), -1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": label + 1,
                    "bbox": [left, top, wide, high], "area": wide * high, "iscrowd": int(draw.random() < 0.05),
                }
            )  # fmt: skip
        (folder / file).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        images.append({"id": number, "width": SIZE, "height": SIZE, "file_name": file})
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def open_lake(path, **options):
    return open_view(Source(str(path)), **options)


def guesses(view, seed=1, masks=False):
    """For each row, boxes beside the truth, of other classes, and anywhere; scores differ from one another."""
    draw = np.random.default_rng(seed)
    found = []
    for row in range(len(view.table)):
        boxes = view.table.xyxy(row)
        labels = np.asarray(view.labels[view.table.span(row)], np.int64)
        keep = draw.random(len(boxes)) < 0.85
        moved = boxes[keep] + draw.normal(0, 2, (int(keep.sum()), 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        told = np.where(draw.random(len(moved)) < 0.8, labels[keep], draw.integers(0, len(view.classes)))
        corner = draw.uniform(0, 80, (4, 2))
        anywhere = np.concatenate([corner, corner + draw.uniform(5, 40, (4, 2))], axis=1)
        scores = np.concatenate([draw.uniform(0.4, 1, len(moved)), draw.uniform(0, 0.6, 4)])
        found.append(
            Found(
                view.key, row, np.concatenate([moved, anywhere]).astype(np.float32),
                scores.astype(np.float32),
                np.concatenate([told, draw.integers(0, len(view.classes), 4)]).astype(np.int64),
            )
        )  # fmt: skip
    return found


def predicted(view, found, **more):
    options = {"split": "val", "epoch": 2, "iteration": 10, "scores": {"coco/bbox_mAP": 0.5}, **more}
    return gathered_predictions(found, **options)[0]
