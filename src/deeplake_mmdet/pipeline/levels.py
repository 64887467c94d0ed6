"""MMDetection 2.x's transforms with a level, exactly: stock 3.x ones round magnitudes and keep empty boxes.

A converted config names the magnitude that follows from the level. In one thing they are as 3.x's: semantic
maps get the nearest label, where 2.x's Shear and Rotate took the mean of several.
"""

from __future__ import annotations

from typing import Any

import mmcv
import mmdet.datasets.transforms as stock
import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from deeplake_mmdet.registry import TRANSFORMS

__all__ = ["Brightness", "Color", "Contrast", "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"]

Results = dict[str, Any]


class _Colored(stock.ColorTransform):
    """A step that changes colours, or not.

    Args:
        magnitude: The factor; 1 changes nothing.
        prob: How often it does it.
    """

    def __init__(self, magnitude: float, prob: float = 0.5) -> None:
        super().__init__(prob=prob)
        self.magnitude = magnitude

    @cache_randomness
    def _get_mag(self) -> float:
        return self.magnitude


@TRANSFORMS.register_module()
class Brightness(_Colored, stock.Brightness):
    """``BrightnessTransform`` of 2.x."""


@TRANSFORMS.register_module()
class Contrast(_Colored, stock.Contrast):
    """``ContrastTransform`` of 2.x."""


@TRANSFORMS.register_module()
class Color(_Colored, stock.Color):
    """``ColorTransform`` of 2.x."""


class _Moved(stock.GeomTransform):
    """A step that moves image, boxes, masks and semantic map, or not.

    Boxes that leave the image go, with their labels and masks, as in 2.x.

    Args:
        magnitude: How much: see the classes.
        prob: How often it does it.
        negative_prob: How often in the other direction.
        min_size: Boxes that are not larger than this many pixels, in width or height, go too.
        img_border_value: What the image is filled with.
        seg_ignore_label: What the semantic map is filled with.
        interpolation: That of the image.
    """

    def __init__(
        self,
        magnitude: float,
        prob: float = 0.5,
        negative_prob: float = 0.5,
        min_size: float = 0,
        img_border_value: Any = 128,
        seg_ignore_label: int = 255,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__(
            prob=prob,
            img_border_value=img_border_value,
            seg_ignore_label=seg_ignore_label,
            interpolation=interpolation,
        )
        self.magnitude, self.negative_prob, self.min_size = magnitude, negative_prob, min_size

    @cache_randomness
    def _get_mag(self) -> float:
        return -self.magnitude if np.random.rand() < self.negative_prob else self.magnitude

    def _transform_bboxes(self, results: Results, mag: float) -> None:
        super()._transform_bboxes(results, mag)
        boxes = results["gt_bboxes"]
        kept = np.nonzero(((boxes.widths > self.min_size) & (boxes.heights > self.min_size)).numpy())[0]
        for name in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_masks"):
            if results.get(name) is not None:
                results[name] = results[name][kept]


@TRANSFORMS.register_module()
class Rotate(_Moved, stock.Rotate):
    """``Rotate`` of 2.x, around the middle; the magnitude is an angle in degrees, clockwise."""


@TRANSFORMS.register_module()
class ShearX(_Moved, stock.ShearX):
    """``Shear`` of 2.x, horizontal; the magnitude is a slope."""


@TRANSFORMS.register_module()
class ShearY(_Moved, stock.ShearY):
    """``Shear`` of 2.x, vertical; the magnitude is a slope."""


class _Translated(_Moved):
    direction: str

    def _get_homography_matrix(self, results: Results, mag: float) -> NDArray[np.float32]:
        across = self.direction == "horizontal"
        return np.array([[1, 0, mag * across], [0, 1, mag * (not across)], [0, 0, 1]], np.float32)

    def _moved(self, image: Any, mag: float, fill: Any) -> Any:
        return mmcv.imtranslate(image, mag, self.direction, fill, self.interpolation)

    def _transform_img(self, results: Results, mag: float) -> None:
        results["img"] = self._moved(results["img"], mag, self.img_border_value)

    def _transform_masks(self, results: Results, mag: float) -> None:
        results["gt_masks"] = results["gt_masks"].translate(results["img_shape"], mag, self.direction)

    def _transform_seg(self, results: Results, mag: float) -> None:
        results["gt_seg_map"] = self._moved(results["gt_seg_map"], mag, self.seg_ignore_label)


@TRANSFORMS.register_module()
class TranslateX(_Translated):
    """``Translate`` of 2.x, horizontal; the magnitude is in pixels."""

    direction = "horizontal"


@TRANSFORMS.register_module()
class TranslateY(_Translated):
    """``Translate`` of 2.x, vertical; the magnitude is in pixels."""

    direction = "vertical"
