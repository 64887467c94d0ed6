"""The demo's object classes as outlines, and their rasterised coverage."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASS_NAMES", "coverage", "outline"]

CLASS_NAMES: tuple[str, ...] = ("ball", "brick", "cone", "star", "ring")

Polygon = NDArray[np.float64]

_SHIFT = 4  # fillPoly takes fixed-point vertices with this many fractional bits


def _arc(start: float, stop: float, points: int) -> Polygon:
    angles = np.linspace(start, stop, points, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def outline(name: str, rng: np.random.Generator) -> tuple[Polygon, Polygon | None]:
    """Draw the outline of one object of a class, with random proportions.

    Args:
        name: One of ``CLASS_NAMES``.
        rng: The scene's generator.

    Returns:
        The outer polygon and the hole, or None where there is no hole. Both are (n, 2) vertices (x, y)
        inside the unit circle.

    Raises:
        KeyError: ``name`` is not a class of the demo.
    """
    hole: Polygon | None = None
    if name == "ball":
        outer = _arc(0, 2 * np.pi, 56)
    elif name == "brick":
        half = np.array([1.0, 1.0 / rng.uniform(1.6, 2.4)])
        outer = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half / np.hypot(*half)
    elif name == "cone":
        width = rng.uniform(0.62, 0.78)
        base = _arc(0, np.pi, 16) * [width, 0.22] + [0, 0.72]
        outer = np.concatenate([[[0.0, -1.0]], base, [[-width, 0.72]]])
    elif name == "star":
        outer = _arc(-np.pi / 2, 1.5 * np.pi, 10)
        outer[1::2] *= rng.uniform(0.42, 0.52)
    elif name == "ring":
        squash = np.array([1.0, rng.uniform(0.75, 1.0)])
        outer = _arc(0, 2 * np.pi, 56) * squash
        hole = outer * rng.uniform(0.52, 0.64)
    else:
        raise KeyError(name)
    return outer, hole


def coverage(
    outer: Polygon, hole: Polygon | None, centre: tuple[float, float], radius: float, angle: float, size: int
) -> NDArray[np.uint8]:
    """Rasterise an outline with soft edges.

    Args:
        outer: (n, 2) vertices in the unit circle.
        hole: (m, 2) vertices in the unit circle, or None.
        centre: Where the unit circle's centre falls in the patch, (x, y) in pixels; fractions count.
        radius: Radius of the unit circle in pixels.
        angle: Rotation in radians.
        size: Side of the square patch in pixels.

    Returns:
        (size, size) uint8, 255 inside, 0 outside, between on the edge.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    patch = np.zeros((size, size), np.uint8)
    for polygon, value in ((outer, 255), (hole, 0)):
        if polygon is not None:
            vertices = (polygon @ turn * radius + centre) * (1 << _SHIFT)
            cv2.fillPoly(patch, [np.rint(vertices).astype(np.int32)], (value,), cv2.LINE_AA, _SHIFT)
    return patch
