"""The reference engine: pycocotools' ``COCOeval``."""

from __future__ import annotations

import contextlib
import io
from functools import cache
from typing import Any

import numpy as np

from deeplake_mmdet.evaluation.curves import Curves, Settings
from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["accumulate_pycocotools"]


def accumulate_pycocotools(
    truth: Instances, predictions: Instances, class_count: int, image_count: int, settings: Settings
) -> Curves:
    """See `deeplake_mmdet.evaluation.engine.accumulate`."""
    from pycocotools.coco import COCO

    sides = []
    with contextlib.redirect_stdout(io.StringIO()):
        for objects in (truth, predictions):
            side = COCO()
            side.dataset = {
                # Sizes are asked for and not used: masks are compressed already.
                "images": [{"id": number, "height": 1, "width": 1} for number in range(image_count)],
                "categories": [{"id": index} for index in range(class_count)],
                "annotations": _annotations(objects, settings.by_mask),
            }
            side.createIndex()
            sides.append(side)
        evaluation = _evaluator()(*sides, "segm" if settings.by_mask else "bbox")
        evaluation.params.imgIds = list(range(image_count))
        evaluation.params.catIds = list(range(class_count))
        evaluation.params.iouThrs = np.asarray(settings.iou_thresholds, np.float64)
        evaluation.params.maxDets = list(settings.limits)
        evaluation.evaluate()
        evaluation.accumulate()
    return Curves(evaluation.eval["precision"], evaluation.eval["recall"])


def _annotations(objects: Instances, by_mask: bool) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {
        "image_id": objects.images.tolist(),
        "category_id": objects.labels.tolist(),
        "bbox": objects.xywh.tolist(),
        "area": objects.areas.tolist(),
        "iscrowd": objects.crowds().astype(int).tolist(),
        "score": objects.confidence().tolist(),
        "left_out": objects.ignored().astype(int).tolist(),
    }
    if by_mask:
        columns["segmentation"] = objects.rles(range(len(objects)))
    names = list(columns)
    return [
        {"id": number, **dict(zip(names, values, strict=True))}
        for number, values in enumerate(zip(*columns.values(), strict=True), start=1)
    ]


@cache
def _evaluator() -> Any:
    from pycocotools.cocoeval import COCOeval

    class Evaluator(COCOeval):  # type: ignore[misc, unused-ignore]
        """COCOeval that also knows objects to be ignored which are no crowds."""

        def _prepare(self) -> None:
            super()._prepare()
            for group in self._gts.values():
                for annotation in group:
                    annotation["ignore"] = annotation["left_out"]

    return Evaluator
