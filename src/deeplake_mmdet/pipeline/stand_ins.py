"""Stock steps done with less work: the same result of a sample, and the same random numbers drawn."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any

import mmcv
import mmcv.transforms
import mmdet.datasets.transforms
import numpy as np
from mmdet.structures.bbox import HorizontalBoxes

__all__ = ["flip_quickly", "keep_size", "resize_the_rest"]


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
    return resize_the_rest(step, results)


def resize_the_rest(step: Any, results: dict[str, Any]) -> dict[str, Any]:
    """What stock ``Resize`` does to boxes, masks and records of a sample whose image is resized already.

    Args:
        step: The stock ``Resize``.
        results: The sample's dict, with ``img`` after resizing and ``img_shape`` (height, width) before it.
    """
    return _run_as(_ImageDone, step, results)


class _ImageDone(mmdet.datasets.transforms.Resize):
    """Does the rest of ``Resize``: boxes, masks and records."""

    def _resize_img(self, results: dict[str, Any]) -> None:
        before, now = results["img_shape"], results["img"].shape[:2]
        results["img_shape"] = now
        results["scale_factor"] = (now[1] / before[1], now[0] / before[0])
        results["keep_ratio"] = self.keep_ratio

    def _resize_bboxes(self, results: dict[str, Any]) -> None:
        boxes: Any = results.get("gt_bboxes")
        if type(boxes) is not HorizontalBoxes or results["scale_factor"] != (1.0, 1.0):
            super()._resize_bboxes(results)
        elif self.clip_object_border:
            boxes.clip_(results["img_shape"])


def flip_quickly(step: Any, results: dict[str, Any]) -> dict[str, Any] | None:
    """What stock ``RandomFlip`` makes of a sample; None if the step had better do it itself.

    ``numpy.random.choice`` with probabilities takes longer than all the rest of a flip.

    Args:
        step: A pipeline step.
        results: What the step would get.
    """
    if type(step) is not mmdet.datasets.transforms.RandomFlip or type(step.prob) is not float:
        return None
    return _run_as(_DrawingQuickly, step, results)


class _DrawingQuickly(mmdet.datasets.transforms.RandomFlip):
    def _choose_direction(self) -> str | None:
        """``choice`` takes one uniform number and looks it up in the cumulated probabilities."""
        directions = [self.direction] if isinstance(self.direction, str) else self.direction
        share = self.prob / len(directions)
        bounds = list(accumulate([*[share] * len(directions), 1.0 - self.prob]))
        drawn = bisect_right([bound / bounds[-1] for bound in bounds], np.random.random_sample())
        return directions[drawn] if drawn < len(directions) else None


def _run_as(kind: Any, step: Any, results: dict[str, Any]) -> dict[str, Any]:
    """Transform a sample by a subclass of a step's class, which shares the step's attributes.

    Args:
        kind: The subclass.
        step: A pipeline step.
        results: The sample's dict, as the step would get it.
    """
    twin = kind.__new__(kind)
    twin.__dict__ = step.__dict__
    done: dict[str, Any] = twin.transform(results)
    return done
