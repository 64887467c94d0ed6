"""A small lake with predictions on it, as runs leave them."""

from __future__ import annotations

import json

import cv2
import numpy as np

from deeplake_mmdet.evaluation import gathered_predictions
from deeplake_mmdet.evaluation.rle import compress
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.lake import Source, open_view

SIZE = 120
#: Names that a page or a chart could take for something else.
NAMES = ("<script>alert(1)</script>", 'it\'s "quoted" & <b>bold</b>', "$\\frac{1}$ ${x} {{ 7*7 }}", "_cow")


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
            right, low = left + wide, top + high
            corners = [left, top, right, top, right, low, left, low]
            label = int(draw.integers(0, len(names)))
            cv2.rectangle(pixels, (left, top), (left + wide, top + high), (40 + 60 * label, 90, 160), -1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": label + 1,
                    "bbox": [left, top, wide, high], "area": wide * high,
                    "segmentation": [corners],
                    "iscrowd": 0,
                }
            )  # fmt: skip
        (folder / file).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        images.append({"id": number, "width": SIZE, "height": SIZE, "file_name": file})
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def open_lake(path, **options):
    return open_view(Source(str(path)), **options)


def guesses(view, seed=1, masks=False):
    """For each row, boxes beside the truth, of other classes, and anywhere; scores that differ."""
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
        outlines = None
        if masks:
            whole = np.concatenate([moved, anywhere])
            outlines = [compress([[x1, y1, x2, y1, x2, y2]], SIZE, SIZE) for x1, y1, x2, y2 in whole.tolist()]
        scores = np.concatenate([draw.uniform(0.4, 1, len(moved)), draw.uniform(0, 0.6, 4)])
        found.append(
            Found(
                view.key, row, np.concatenate([moved, anywhere]).astype(np.float32),
                scores.astype(np.float32),
                np.concatenate([told, draw.integers(0, len(view.classes), 4)]).astype(np.int64),
                outlines,
            )
        )  # fmt: skip
    return found


def predicted(view, found, **more):
    options = {"split": "val", "epoch": 2, "iteration": 10, "scores": {"coco/bbox_mAP": 0.5}, **more}
    return gathered_predictions(found, **options)[0]


CONFIG = """\
default_scope = 'mmdet'
model = dict(
    bbox_head=dict(num_classes=4, _scope_='mmdet'), type='RTMDet', data_preprocessor=dict(mean=[
        1.0,
        float('inf'),
    ]))
optim_wrapper = dict(optimizer=dict(lr=0.001, type='SGD'), type='OptimWrapper')
train_cfg = dict(max_epochs=3, type='EpochBasedTrainLoop')
api = dict(token='HIDDEN-TOKEN-IN-A-CONFIG')
val_evaluator = dict(outfile_prefix='s3://user:HIDDEN-LOGIN@bucket/x?sig=HIDDEN-SIGNATURE', type='CocoMetric')
"""


def write_run(folder, view, *, steps=30, validated=True, stock="rtmdet/rtmdet_tiny_8xb32-300e_coco.py"):
    """What a training of three epochs leaves, resumed at the second."""
    facts = dict(view.source.facts(), branch="main", rows=len(view.table), view="")
    counts = np.bincount(view.labels, minlength=len(view.classes)).tolist()
    start = {
        "started": "20260102_030405",
        "config": {"file": "cfg.py", "stock": stock},
        "lakes": [facts],
        "data": [
            {
                "images": len(view.table), "samples": len(view.table) - 2,
                "images_left_out": {"without objects": 2}, "boxes": sum(counts), "boxes_used": sum(counts),
                "boxes_ignored": 3, "boxes_left_out": {"outside the image": 5},
                "classes": dict(zip(view.classes, counts, strict=True)),
            }
        ],
        "seed": 7, "loader": {"mode": "threads", "workers": 2, "batch_size": 4}, "ranks": 1,
        "resumed_from": None, "packages": {"python": "3.11", "torch": "2.4"},
    }  # fmt: skip
    again = dict(start, resumed_from={"epoch": 1, "iter": 10}, packages={"python": "3.11", "torch": "2.5"})
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"starts": [start, again]}))
    (folder / "skipped_rows.json").write_text(
        json.dumps([{"lake": str(view.source), "up_front": [4, 5], "at_first_sight": []}])
    )
    for stamp, first in (("20260102_030405", 1), ("20260102_040506", 11)):
        data = folder / stamp / "vis_data"
        data.mkdir(parents=True)
        (data / "config.py").write_text(CONFIG)
        lines = []
        last = (
            15 if first == 1 else steps
        )  # the first start went on past the checkpoint that the second takes
        for step in range(first, last + 1):
            loss = 5 / step if first > 1 else 9
            lines.append({"lr": 0.01, "data_time": 0.1, "time": 0.4, "loss": loss, "loss_cls": loss / 2,
                          "epoch": (step - 1) // 10 + 1, "iter": step, "step": step})  # fmt: skip
            if validated and step % 10 == 0:
                lines.append({"coco/bbox_mAP": step / 100, "coco/bbox_mAP_50": step / 50, "step": step // 10})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (data / "scalars.json").write_text(text)
