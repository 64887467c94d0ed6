"""Places for the labels of boxes where they hide neither each other nor the objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["HIDES_AT_MOST", "Places", "place_labels"]

HIDES_AT_MOST = 0.1  # of the boxes that a label lies on, in parts of each one's area, summed
_MOST = 400  # labels; more cannot be read on any picture
_CELLS = 1000  # along the longer side of the map of what would be hidden
_GAP = 1.0  # pixels between two labels
_FAR = (0.7, 1.5)  # heights of a label, between it and its box, where a line leads to it
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)


class Places(NamedTuple):
    """Where the labels go.

    Attributes:
        corners: (left, top) of each label in pixels, shape (n, 2); NaN for one that found no room.
        led: Whether a line has to lead from the label to its box, shape (n,), bool.
    """

    corners: NDArray[np.float64]
    led: NDArray[np.bool_]


def place_labels(
    boxes: ArrayLike,
    sizes: ArrayLike,
    canvas: tuple[int, int],
    *,
    taken: ArrayLike = (),
    leaders: bool = True,
    hides_at_most: float = HIDES_AT_MOST,
) -> Places:
    """Find a place for each label in turn: beside its box, in it if it is large, or a little way off.

    No label overlaps another one or leaves the picture, and none hides more than a small part of any box.
    Labels for which there is no such place get none.

    Args:
        boxes: (left, top, right, bottom) in pixels of the picture, shape (n, 4), finite, the most important
            first.
        sizes: (width, height) of each label in pixels, shape (n, 2); labels without width get no place.
        canvas: Width and height of the picture in pixels.
        taken: Rectangles (left, top, right, bottom) that no label may overlap, shape (k, 4).
        leaders: Whether labels may stand away from their boxes.
        hides_at_most: How much a label may hide, see `HIDES_AT_MOST`.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    wanted = np.asarray(sizes, np.float64).reshape(-1, 2)
    places = np.full((len(corners), 2), np.nan)
    led = np.zeros(len(corners), bool)
    full: NDArray[np.float64] = np.asarray(taken, np.float64).reshape(-1, 4)
    hidden = _Hidden(corners, canvas)
    for number in range(min(len(corners), _MOST)):
        width, height = wanted[number]
        if width <= 0 or height <= 0 or width > canvas[0] or height > canvas[1]:
            continue
        tries, far = _candidates(corners[number], width, height, leaders)
        np.clip(tries, 0, np.subtract(canvas, wanted[number]), out=tries)
        ends = tries + wanted[number]
        cost = hidden.of(tries, ends)
        fits = cost <= hides_at_most
        if len(full):
            apart = (
                (ends[:, None, 0] + _GAP <= full[None, :, 0])
                | (full[None, :, 2] + _GAP <= tries[:, None, 0])
                | (ends[:, None, 1] + _GAP <= full[None, :, 1])
                | (full[None, :, 3] + _GAP <= tries[:, None, 1])
            )
            fits &= apart.all(axis=1)
        if not fits.any():
            continue
        rank = cost * 10 + far * 0.6 + np.arange(len(tries)) * 0.01
        best = int(np.where(fits, rank, np.inf).argmin())
        places[number], led[number] = tries[best], far[best] > 0
        full = np.vstack([full, [*tries[best], *ends[best]]])
    return Places(places, led)


def _candidates(
    box: NDArray[np.float64], width: float, height: float, leaders: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners to try, the usual ones first, and how far from the box each is, in heights of the label."""
    left, top, right, bottom = box.tolist()
    middle = (left + right - width) / 2
    beside = [
        *((left, top - height), (right - width, top - height), (middle, top - height)),
        *((left, bottom), (right - width, bottom), (middle, bottom)),
        *((right, top), (left - width, top), (right, bottom - height), (left - width, bottom - height)),
        *((left, top), (right - width, top), (left, bottom - height), (right - width, bottom - height)),
    ]
    if not leaders:
        return np.array(beside), np.zeros(len(beside))
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    reach = np.array([(right - left + width) / 2, (bottom - top + height) / 2])
    rays = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    around = rays / np.abs(rays).max(axis=1, keepdims=True)  # on a square, as boxes are
    far = np.repeat(_FAR, len(rays))
    away = np.concatenate([centre + around * (reach + step * height) for step in _FAR]) - (
        width / 2,
        height / 2,
    )
    return np.concatenate([beside, away]), np.concatenate([np.zeros(len(beside)), far])


class _Hidden:
    """How much of the boxes a rectangle hides: the sum of its overlaps, each in parts of the box's area."""

    def __init__(self, boxes: NDArray[np.float64], canvas: tuple[int, int]) -> None:
        self._cell = max(1.0, max(canvas) / _CELLS)
        across, down = (int(np.ceil(side / self._cell)) + 1 for side in canvas)
        steps = np.zeros((down + 1, across + 1))
        x1, y1, x2, y2 = (
            np.clip(np.rint(boxes[:, axis] / self._cell), 0, (across, down)[axis % 2]).astype(np.int64)
            for axis in range(4)
        )
        x2, y2 = np.maximum(x2, x1 + 1).clip(max=across), np.maximum(y2, y1 + 1).clip(max=down)
        share = 1 / np.maximum((x2 - x1) * (y2 - y1), 1)
        for rows, columns, sign in ((y1, x1, 1), (y1, x2, -1), (y2, x1, -1), (y2, x2, 1)):
            np.add.at(steps, (rows, columns), sign * share)
        density = steps.cumsum(axis=0).cumsum(axis=1)
        self._sums = np.zeros((down + 2, across + 2))
        self._sums[1:, 1:] = density.cumsum(axis=0).cumsum(axis=1)

    def of(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (k,), of k rectangles."""
        high = np.array(self._sums.shape[::-1]) - 1
        low = np.clip(np.floor(starts / self._cell + 1e-6), 0, high).astype(np.int64)
        top = np.clip(np.ceil(ends / self._cell - 1e-6), 0, high).astype(np.int64)
        sums = self._sums
        found: NDArray[np.float64] = (
            sums[top[:, 1], top[:, 0]] - sums[low[:, 1], top[:, 0]]
            - sums[top[:, 1], low[:, 0]] + sums[low[:, 1], low[:, 0]]
        )  # fmt: skip
        return found
