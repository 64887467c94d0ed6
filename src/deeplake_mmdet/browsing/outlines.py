"""Masks as outlines that a page can draw at any size: paths of SVG, in pixels of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.images.segmentation import segmentation_fault

__all__ = ["outline", "outline_of_pixels"]

_MOST_PIXELS = 64_000_000  # of a mask that has to be spread out
_FINENESS = 700  # parts of the image's longer side that an outline is true to


def outline(mask: Any, height: int, width: int) -> str:
    """The outline of one object's mask; inside is what it encloses an odd number of times.

    Args:
        mask: Polygons ``[[x, y, x, y, ...], ...]`` in pixels, an RLE dict, or None.
        height: Of the image, pixels.
        width: Of the image, pixels.

    Returns:
        The ``d`` of an SVG path; empty where there is no mask, or none that can be used.
    """
    if not mask or segmentation_fault(mask, (height, width)) is not None:
        return ""
    if isinstance(mask, Mapping):
        if height * width > _MOST_PIXELS:
            return ""
        from pycocotools import mask as coco

        counts = mask["counts"]
        whole = coco.frPyObjects(dict(mask), height, width) if isinstance(counts, list) else dict(mask)
        return outline_of_pixels(coco.decode(whole))
    return "".join(_path(np.asarray(part, np.float64).reshape(-1, 2)) for part in mask if len(part) >= 6)


def outline_of_pixels(mask: NDArray[Any]) -> str:
    """The outline of a mask in pixels. See `outline`.

    Args:
        mask: Shape (height, width), not zero inside of the object.
    """
    inside = np.asarray(mask) != 0
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return ""
    part = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    found: Sequence[Any] = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]
    corner = np.array([columns[0], rows[0]]) + 0.5  # contours run through the middle of pixels
    near = max(mask.shape) / _FINENESS
    shown = (cv2.approxPolyDP(line, near, True) if len(line) > 8 else line for line in found)
    return "".join(_path(line.reshape(-1, 2) + corner) for line in shown)


def _path(points: NDArray[Any]) -> str:
    return "M" + "L".join(f"{x:.5g} {y:.5g}" for x, y in points.tolist()) + "Z"
