"""Reading of YOLO label files, one at a time: a line for each object, in fractions of the image's size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.formats.class_map import LEFT_OUT

__all__ = ["YoloLabels", "has_polygons", "read_labels"]

_OUTSIDE = 0.01  # by which a coordinate may leave the image; Ultralytics grants as much
_BOX, _FEWEST = 5, 7  # numbers of a box and of the smallest polygon, the class among them


@dataclass(frozen=True, eq=False)
class YoloLabels:
    """The objects of one label file, in its order.

    Attributes:
        labels: Shape (n,).
        boxes: Shape (n, 4), centre x, centre y, width, height, in fractions of the image's width and height.
        polygons: Of each object ``[x, y, x, y, ...]`` in the same fractions, or None where it is a box alone.
        refused: ``(reason, detail)`` of each line that is left out.
        keypoints: How many objects have keypoints, which are not read.
        corners: How many polygons have four points, as rotated boxes have.
    """

    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    polygons: list[list[float] | None]
    refused: tuple[tuple[str, str], ...] = ()
    keypoints: int = 0
    corners: int = 0


def has_polygons(text: str, keypoints: int = 0) -> bool:
    """Whether a line of a label file may be a polygon.

    Args:
        text: The file.
        keypoints: See `read_labels`.
    """
    return not keypoints and any(len(line.split()) >= _FEWEST for line in text.splitlines())


def read_labels(text: str, label_of: Mapping[int, int], keypoints: int = 0) -> YoloLabels:
    """Read a label file; each line that cannot be taken is refused by itself.

    ``class x y width height`` is a box, with x and y of its centre; ``class x y x y x y ...`` a
    polygon, whose box is its bounds, whatever the other lines are: Ultralytics takes all lines of a file for
    polygons if one is. Four points are a polygon too; files of rotated boxes cannot be told from such.
    Ultralytics refuses the whole file where one line is wrong, and drops repeated lines. As there, a
    coordinate may lie outside of the image by a hundredth of its size; it is kept as it is.

    Args:
        text: The file.
        label_of: The label of each class number; `LEFT_OUT` where objects of the class are not wanted.
        keypoints: How many numbers of keypoints follow a box; 0 for files without.
    """
    labels: list[int] = []
    boxes: list[list[float]] = []
    polygons: list[list[float] | None] = []
    refused: list[tuple[str, str]] = []
    seen: set[tuple[float, ...]] = set()
    with_keypoints = corners = 0
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        values = _numbers(line)
        fault = "line holds what is no number" if values is None else _fault(values, label_of, keypoints)
        if values is not None and fault is None:
            given = tuple(values)
            fault = "line is repeated" if given in seen else None
            seen.add(given)
        if values is None or fault is not None:
            refused.append((fault or "", f"line {place}: {line.strip()!r:.100}"))
            continue
        shape = None if keypoints or len(values) == _BOX else values[1:]
        labels.append(label_of[int(values[0])])
        boxes.append(values[1:_BOX] if shape is None else _bounds(shape))
        polygons.append(shape)
        with_keypoints += bool(keypoints) and len(values) > _BOX
        corners += shape is not None and len(shape) == 8
    return YoloLabels(
        np.array(labels, np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        polygons,
        tuple(refused),
        with_keypoints,
        corners,
    )


def _numbers(line: str) -> list[float] | None:
    if "_" in line:  # Python would take 1_0 for 10
        return None
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return None


def _fault(values: list[float], label_of: Mapping[int, int], keypoints: int) -> str | None:
    count = len(values)
    if keypoints and count not in (_BOX, _BOX + keypoints):
        return f"line has neither 5 numbers (a box) nor {_BOX + keypoints} (a box and its keypoints)"
    if not keypoints and count != _BOX and (count < _FEWEST or count % 2 == 0):
        return "line has neither 5 numbers (a box) nor an odd number from 7 on (a polygon)"
    if not all(map(math.isfinite, values)):
        return "line holds a number that is not finite"
    if not values[0].is_integer():
        return "class is no whole number"
    label = label_of.get(int(values[0]))
    if label is None:
        return "class number has no name"
    if label == LEFT_OUT:
        return "class is not in the class list"
    shape = values[1:_BOX] if keypoints else values[1:]
    width, height = shape[2:] if len(shape) == 4 else _bounds(shape)[2:]
    if width <= 0 or height <= 0:
        return "box has no area (width or height is zero or negative)"
    if min(shape) < -_OUTSIDE or max(shape) > 1 + _OUTSIDE:
        return "coordinates are not from 0 to 1, fractions of the image's size"
    return None


def _bounds(points: list[float]) -> list[float]:
    left, right = min(points[0::2]), max(points[0::2])
    top, bottom = min(points[1::2]), max(points[1::2])
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
