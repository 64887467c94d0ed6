"""One object of a COCO file as a lake stores it: its box and its area."""

from __future__ import annotations

import math
from typing import Any

from deeplake_mmdet.formats.coco_file import CocoAnnotation
from deeplake_mmdet.formats.coco_values import is_number, read_box, stated

__all__ = ["settle_area", "settle_box"]

# Beyond it no image reaches, and pycocotools' arrays would.
_FARTHEST = 2.0**16


def settle_box(annotation: CocoAnnotation) -> tuple[list[int | float] | None, str | None]:
    """The box ``[x, y, width, height]`` in pixels and what is odd about it, or None and why there is none.

    An object without a box but with sound polygons has the box around them; MMDetection cannot read it.
    """
    box, reason = read_box(annotation.bbox)
    if box is not None or reason != "box is missing":
        return box, reason
    polygons = _polygons(annotation.segmentation)
    if polygons is None:
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

    if isinstance(segmentation, dict):
        return _run_length_area(segmentation, size)
    polygons = _polygons(segmentation)
    if polygons is None:
        return 0.0
    flat = [number for polygon in polygons for number in polygon]
    if not all(-_FARTHEST < number < _FARTHEST for number in flat):
        return 0.0
    width, height = size or (
        math.ceil(max(x for polygon in polygons for x in polygon[::2])) + 1,
        math.ceil(max(y for polygon in polygons for y in polygon[1::2])) + 1,
    )
    if not (0 < width <= _FARTHEST and 0 < height <= _FARTHEST):
        return 0.0
    return float(mask.area(mask.merge(mask.frPyObjects(polygons, height, width))))


def _polygons(value: Any) -> list[list[int | float]] | None:
    if not isinstance(value, list) or not value:
        return None
    for polygon in value:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return None
        if not all(map(is_number, polygon)):
            return None
    return value


def _run_length_area(value: dict[str, Any], size: tuple[int, int] | None) -> float:
    counts, told = value.get("counts"), value.get("size")
    if not isinstance(told, list) or len(told) != 2 or not all(type(n) is int and n > 0 for n in told):
        return 0.0
    if size is not None and told != [size[1], size[0]]:
        return 0.0
    pixels = told[0] * told[1]
    if isinstance(counts, str):
        # The last character ends its number, else pycocotools would read beyond the text.
        if not counts or not all("0" <= c <= "o" for c in counts) or (ord(counts[-1]) - 48) & 32:
            return 0.0
        from pycocotools import mask

        if max(told) >= 2**31:
            return 0.0
        area = float(mask.area({"size": told, "counts": counts.encode()}))
    elif isinstance(counts, list) and all(type(n) is int and n >= 0 for n in counts):
        area = float(sum(counts[1::2]))
    else:
        return 0.0
    return area if 0 < area <= pixels else 0.0
