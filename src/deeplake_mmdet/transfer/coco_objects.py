"""The objects of a COCO file as a lake stores them: their boxes and areas, most of them as whole arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.formats.coco_file import CocoAnnotation, CocoImage
from deeplake_mmdet.formats.coco_values import is_number, read_box, shown, stated
from deeplake_mmdet.formats.segmentation import read_segmentation

__all__ = ["ObjectBlock", "mask_area", "settle_area", "settle_box", "size_of"]

_FARTHEST = 2**16  # pixels; beyond it no image reaches


_PLAIN = frozenset((int, float))
Size = tuple[int, int]


class ObjectBlock:
    """The objects of some images, one after another: what is taken, and how.

    Those whose box and area are as COCO says, which are nearly all, are handled as arrays; the others one by
    one, by `settle_box` and `settle_area`.

    Args:
        images: Images with their annotations.

    Attributes:
        good: Those with a sound box.
        boxes: Of ``good``, shape (n, 4), float64: ``(x, y, width, height)`` in pixels.
        areas: Of ``good``, shape (n,), float64: square pixels.
    """

    def __init__(self, images: Sequence[tuple[CocoImage, Sequence[CocoAnnotation]]]) -> None:
        self._images = [image for image, _ in images]
        self._refused: dict[int, list[tuple[str, str]]] = {}
        self._changes: dict[int, list[tuple[str, str, str]]] = {}
        given = [annotation for _, group in images for annotation in group]
        owners = np.repeat(np.arange(len(images)), [len(group) for _, group in images])
        boxes, areas, odd = _plain(given)
        sound = np.ones(len(given), bool)
        for place in np.flatnonzero(odd).tolist():
            settled = self._settle(given[place], int(owners[place]))
            if settled is None:
                sound[place] = False
            else:
                boxes[place], areas[place] = settled
        self.boxes, self.areas = boxes[sound], areas[sound]
        self.good = given if sound.all() else [given[place] for place in np.flatnonzero(sound).tolist()]
        self._ends = np.cumsum(np.bincount(owners[sound], minlength=len(images))).tolist()

    def rows(self, place: int) -> slice:
        """Where the objects of an image lie in ``good``, ``boxes`` and ``areas``.

        Args:
            place: The image's position among the images of the block.
        """
        return slice(self._ends[place - 1] if place else 0, self._ends[place])

    def findings(self, place: int) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str, str]]]:
        """What is refused or changed of an image's objects.

        Args:
            place: The image's position among the images of the block.

        Returns:
            ``(reason, detail)`` of each object that is refused, and ``(kind, reason, detail)`` of each
            change, that of the image first; see `PlannedImage`.
        """
        change = self._images[place].change
        changes = self._changes.get(place, [])
        return self._refused.get(place, []), changes if change is None else [("image", change, ""), *changes]

    def _settle(self, annotation: CocoAnnotation, owner: int) -> tuple[list[int | float], float] | None:
        box, odd = settle_box(annotation)
        name = f"annotation {annotation.id!r}"
        if box is None:
            detail = f"{name}, bbox {shown(annotation.bbox)}"
            self._refused.setdefault(owner, []).append((odd or "", detail))
            return None
        area, odd_area = settle_area(annotation, box, size_of(self._images[owner]))
        reasons = [reason for reason in (*annotation.changes, odd, odd_area) if reason is not None]
        if reasons:
            self._changes.setdefault(owner, []).extend(("box", reason, name) for reason in reasons)
        return box, area


def _plain(
    annotations: Sequence[CocoAnnotation],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes and areas, and which objects have to be looked at one by one."""
    boxes, areas = np.ones((len(annotations), 4)), np.ones(len(annotations))
    places = [
        place
        for place, one in enumerate(annotations)
        if not one.changes
        and type(one.bbox) is list
        and len(one.bbox) == 4
        and type(one.area) in _PLAIN
        and _PLAIN.issuperset(map(type, one.bbox))
    ]
    odd = np.ones(len(annotations), bool)
    try:
        boxes[places] = np.array([annotations[place].bbox for place in places], np.float64).reshape(-1, 4)
        areas[places] = np.array([annotations[place].area for place in places], np.float64)
    except OverflowError:  # a whole number beyond float64
        return boxes, areas, odd
    fine = np.isfinite(boxes).all(axis=1) & np.isfinite(areas) & (boxes[:, 2:] > 0).all(axis=1) & (areas > 0)
    odd[places] = ~fine[places]
    return boxes, areas, odd


def size_of(image: CocoImage) -> Size | None:
    """Stated width and height in pixels; None if they are unknown.

    Args:
        image: An image of a COCO file.
    """
    return None if image.width is None or image.height is None else (image.width, image.height)


def settle_box(annotation: CocoAnnotation) -> tuple[list[int | float] | None, str | None]:
    """The box ``[x, y, width, height]`` in pixels and what is odd about it, or None and why there is none.

    An object without a box but with sound polygons has the box around them; MMDetection cannot read it.

    Args:
        annotation: The object.
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
    annotation: CocoAnnotation, box: list[int | float], size: Size | None
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
    area = mask_area(annotation.segmentation, size)
    if area > 0:
        return area, f"area is {state}; that of the mask is taken"
    return float(box[2]) * float(box[3]), f"area is {state}; that of the box is taken"


def _state(given: Any, number: int | float | None) -> str:
    if given is None or (isinstance(given, float) and math.isnan(given)):
        return "missing"
    if number is None or not is_number(number):
        return "no number"
    return "zero" if number == 0 else "negative"


def mask_area(segmentation: Any, size: tuple[int, int] | None) -> float:
    """Square pixels of polygons or run lengths, overlaps counted once; 0 where they are not sound.

    Args:
        segmentation: As COCO has it; None for none.
        size: Width and height of the image in pixels; None if they are not known.
    """
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
