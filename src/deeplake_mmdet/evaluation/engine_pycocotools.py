"""The reference engine: pycocotools' ``COCOeval``."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from deeplake_mmdet.evaluation.engine import Curves, Settings, coco_entries
from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["accumulate_pycocotools"]


def accumulate_pycocotools(
    truth: Instances, predictions: Instances, class_count: int, image_count: int, settings: Settings
) -> Curves:
    """Match predictions to truth and count, as COCOeval's ``evaluate`` and ``accumulate`` do.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        class_count: Number of classes K; the curves of proposals have one.
        image_count: Number of images evaluated.
        settings: How; area ranges are COCO's.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    sides, numbers = [], np.arange(image_count)
    with contextlib.redirect_stdout(io.StringIO()):
        for objects in (truth, predictions):
            side = COCO()
            side.dataset = {
                # Sizes are asked for and not used: masks are compressed already.
                "images": [{"id": number, "height": 1, "width": 1} for number in range(image_count)],
                "categories": [{"id": index} for index in range(class_count)],
                "annotations": coco_entries(objects, numbers),
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "segm" if settings.by_mask else "bbox")
        evaluation.params.imgIds = list(range(image_count))
        evaluation.params.catIds = list(range(class_count))
        evaluation.params.iouThrs = np.asarray(settings.iou_thresholds, np.float64)
        evaluation.params.maxDets = list(settings.limits)
        evaluation.params.useCats = int(settings.by_class)
        evaluation.evaluate()
        evaluation.accumulate()
    return Curves(evaluation.eval["precision"], evaluation.eval["recall"])
