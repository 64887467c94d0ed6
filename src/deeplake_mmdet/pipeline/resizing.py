"""Resizing to the very size that an image has, without copying it."""

from __future__ import annotations

from typing import Any

import mmcv
import mmcv.transforms
import mmdet.datasets.transforms
from mmdet.structures.bbox import HorizontalBoxes

from deeplake_mmdet.pipeline.stand_ins import run_as

__all__ = ["keep_size"]


def keep_size(step: Any, results: dict[str, Any]) -> dict[str, Any] | None:
    """What stock ``Resize`` makes of an image that has its size already; None if the step has work to do.

    OpenCV copies such an image: a tenth of what loading it takes. Here the same array goes on, so nobody else
    may hold it.

    Args:
        step: A pipeline step.
        results: What the step would get.
    """
    image = results.get("img")
    if type(step) is not mmdet.datasets.transforms.Resize or step.backend != "cv2":
        return None
    if not isinstance(step.scale, tuple) or image is None:
        return None
    if image.ndim != 3 or image.shape[2] != 3:  # OpenCV drops a single channel's axis
        return None
    size = image.shape[1::-1]
    if (mmcv.image.rescale_size(size, step.scale) if step.keep_ratio else step.scale) != size:
        return None
    return run_as(_KeepingSize, step, results)


class _KeepingSize(mmdet.datasets.transforms.Resize):
    """Does the rest of ``Resize``: boxes, masks and records."""

    def _resize_img(self, results: dict[str, Any]) -> None:
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = (1.0, 1.0)
        results["keep_ratio"] = self.keep_ratio

    def _resize_bboxes(self, results: dict[str, Any]) -> None:
        boxes: Any = results.get("gt_bboxes")
        if type(boxes) is not HorizontalBoxes:
            super()._resize_bboxes(results)
        elif self.clip_object_border:
            boxes.clip_(results["img_shape"])
