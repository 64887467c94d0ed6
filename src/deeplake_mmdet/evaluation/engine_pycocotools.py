"""The reference engine: pycocotools' ``COCOeval``."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.engine import Curves, Settings, coco_entries
from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["ReferenceMatching"]


class ReferenceMatching:
    """As `deeplake_mmdet.evaluation.engine.Matching`, but everything is kept until `curves` matches it.

    Args:
        class_count: Number of classes K.
        settings: How; area ranges are COCO's.
    """

    def __init__(self, class_count: int, settings: Settings) -> None:
        self._class_count, self._settings = class_count, settings
        self._numbers: list[int] = []
        self._truth: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []

    def add(
        self, truth: Instances, predictions: Instances, numbers: NDArray[np.int64], searched: Any = None
    ) -> None:
        """Keep some images.

        Args:
            truth: Ordered by image.
            predictions: Ordered by image.
            numbers: Of the images, shape (images,), by the place that ``images`` of both names.
            searched: Not known to COCO.
        """
        del searched
        self._numbers += numbers.tolist()
        self._truth += coco_entries(truth, numbers)
        self._found += coco_entries(predictions, numbers)

    @staticmethod
    def curves(parts: Iterable[ReferenceMatching]) -> Curves:
        """Precision and recall of all images of some matchings.

        Args:
            parts: Of equal settings, and no image twice.
        """
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        parts = list(parts)
        settings, classes = parts[0]._settings, list(range(parts[0]._class_count))
        images = sorted(number for part in parts for number in part._numbers)
        sides = []
        with contextlib.redirect_stdout(io.StringIO()):
            for name in ("_truth", "_found"):
                entries = [entry for part in parts for entry in getattr(part, name)]
                side = COCO()
                side.dataset = {
                    # Sizes are asked for and not used: masks are compressed already.
                    "images": [{"id": number, "height": 1, "width": 1} for number in images],
                    "categories": [{"id": label} for label in classes],
                    "annotations": [entry | {"id": place} for place, entry in enumerate(entries, start=1)],
                }
                side.createIndex()
                sides.append(side)
            evaluation = COCOeval(*sides, "segm" if settings.by_mask else "bbox")
            evaluation.params.imgIds, evaluation.params.catIds = images, classes
            evaluation.params.iouThrs = np.asarray(settings.iou_thresholds, np.float64)
            evaluation.params.maxDets = list(settings.limits)
            evaluation.params.useCats = int(settings.by_class)
            evaluation.evaluate()
            evaluation.accumulate()
        return Curves(evaluation.eval["precision"], evaluation.eval["recall"])
