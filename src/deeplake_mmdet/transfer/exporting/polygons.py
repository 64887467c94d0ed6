"""Masks as one polygon each, as YOLO's label files have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["one_polygon"]

Points = NDArray[np.float64]


def one_polygon(mask: Any) -> tuple[Points | None, tuple[str, ...]]:
    """One polygon for a mask, and what was changed for it.

    Several parts are joined by bridges without width, from each to the nearest point of the others, as
    Ultralytics does when it converts COCO. Run lengths become the outlines of their parts, through the
    centres of the outermost pixels, which cover the same pixels when they are filled by OpenCV; their holes
    are filled.

    Args:
        mask: A COCO segmentation: polygons in pixels, or run lengths.

    Returns:
        Shape (k, 2), at least three points in pixels, or None if there is no mask or none with three points;
        and what is not as in the mask, in the same words for all like it.
    """
    if not mask:
        return None, ()
    changes = []
    if isinstance(mask, Mapping):
        parts, holes = _outlines(mask)
        if holes:
            changes.append("holes of a mask are filled")
    else:
        parts = [np.array(part, np.float64).reshape(-1, 2) for part in mask if not len(part) % 2]
    parts = [part for part in parts if len(part) >= 3]
    if not parts:
        return None, ()
    if len(parts) > 1:
        changes.append("parts of a mask are joined to one polygon")
    joined = parts[0]
    for part in parts[1:]:
        joined = _bridged(joined, part)
    return joined, tuple(changes)


def _outlines(mask: Mapping[str, Any]) -> tuple[list[Points], int]:
    """Outlines of the parts of run lengths, the largest first, and how many holes they have."""
    import cv2
    from pycocotools import mask as coco_mask

    runs: Any = mask
    if isinstance(mask["counts"], list):
        runs = coco_mask.frPyObjects(dict(mask), *mask["size"])
    elif isinstance(mask["counts"], str):
        runs = {**mask, "counts": mask["counts"].encode()}
    pixels = np.ascontiguousarray(coco_mask.decode(runs))
    found, levels = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [
        contour.reshape(-1, 2).astype(np.float64)
        for contour, level in zip(found, levels[0] if found else (), strict=True)
        if level[3] < 0
    ]
    return sorted(outer, key=lambda part: -_area(part)), len(found) - len(outer)


def _area(points: Points) -> float:
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _bridged(one: Points, other: Points) -> Points:
    """Two polygons as one, which goes over to the other and back at their nearest points."""
    distances = ((one[:, None] - other[None]) ** 2).sum(axis=2)
    here, there = np.unravel_index(int(distances.argmin()), distances.shape)
    round_trip = np.concatenate([other[there:], other[: there + 1]])
    return np.concatenate([one[: here + 1], round_trip, one[here:]])
