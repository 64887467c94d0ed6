"""One object of a COCO file as a lake stores it: its box and its area."""

from __future__ import annotations

import math
from typing import Any

from deeplake_mmdet.formats.coco_file import CocoAnnotation
from deeplake_mmdet.formats.coco_values import is_number, read_box, stated
from deeplake_mmdet.formats.segmentation import read_segmentation

__all__ = ["settle_area", "settle_box"]

_FARTHEST = 2**16  # pixels; beyond it no image reaches


def settle_box(annotation: CocoAnnotation) -> tuple[list[int | float] | None, str | None]:
    """The box ``[x, y, width, height]`` in pixels and what is odd about it, or None and why there is none.

    An object without a box but with sound polygons has the box around them; MMDetection cannot read it.
    """
    box, reason = read_box(annotation.bbox)
    if box is not None or reason != "box is missing":
        return box, reason
    polygons = read_segmentation(annotation.segmentation, None).mask
    if not polygons or not isinstance(polygons, list):
        return None, reason
    xs = [x for polygon in polygons for x in polygon[::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    if box[2] <= 0 or box[3] <= 0:
        return None, reason
    return box, "box is missing; the one around the mask is taken"


def settle_area(
    annotation: CocoAnnotation, box: list[int | float], size: tuple[int, int] | None
) -> tuple[float, str | None]:
    """The area in square pixels, and what is odd about it.

    A stated area that is positive is never changed. One that is missing, zero, negative or no number is that
    of the object's mask, as pycocotools counts it, where it has a sound one; else that of its box.
    MMDetection leaves objects with an area of zero out, and cannot read files without areas.

    Args:
        annotation: The object.
        box: Its box ``(x, y, width, height)`` in pixels.
        size: Stated width and height of the image in pixels; None if unknown.
    """
    given = annotation.area
    number = stated(given)
    if number is not None and number > 0 and is_number(number):
        odd = "area is a text and taken as what it says" if isinstance(given, str) else None
        return float(number), odd
    state = _state(given, number)
    area = _mask_area(annotation.segmentation, size)
    if area > 0:
        return area, f"area is {state}; that of the mask is taken"
    return float(box[2]) * float(box[3]), f"area is {state}; that of the box is taken"


def _state(given: Any, number: int | float | None) -> str:
    if given is None or (isinstance(given, float) and math.isnan(given)):
        return "missing"
    if number is None or not is_number(number):
        return "no number"
    return "zero" if number == 0 else "negative"


def _mask_area(segmentation: Any, size: tuple[int, int] | None) -> float:
    """Square pixels of polygons or run lengths, overlaps counted once; 0 where they are not sound."""
    from pycocotools import mask

    shape = None if size is None else (size[1], size[0])
    found = read_segmentation(segmentation, shape).mask
    if not found:
        return 0.0
    if isinstance(found, dict):
        counts = found["counts"]
        if isinstance(counts, list):
            return float(sum(counts[1::2]))
        return float(mask.area({"size": found["size"], "counts": counts.encode()}))
    height, width = shape or (
        math.ceil(max(y for polygon in found for y in polygon[1::2])) + 1,
        math.ceil(max(x for polygon in found for x in polygon[::2])) + 1,
    )
    if not (0 < width <= _FARTHEST and 0 < height <= _FARTHEST):
        return 0.0
    return float(mask.area(mask.merge(mask.frPyObjects(found, height, width))))
