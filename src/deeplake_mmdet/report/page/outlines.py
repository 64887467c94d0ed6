"""Masks as outlines on a thumbnail, for SVG."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

__all__ = ["outline"]

_CLOSE = 0.75  # pixels of the thumbnail by which an outline may be off


def outline(counts: bytes, height: int, width: int, scale: float) -> str:
    """The outline of a mask as the ``d`` of an SVG path; empty if nothing is left of it.

    Args:
        counts: COCO's compressed run lengths.
        height: Of the image, pixels.
        width: Of the image, pixels.
        scale: Size of the thumbnail, in sizes of the image.
    """
    from pycocotools import mask

    dense: Any = mask.decode({"size": [height, width], "counts": counts})
    rows, columns = np.flatnonzero(dense.any(axis=1)), np.flatnonzero(dense.any(axis=0))
    if not len(rows):
        return ""
    top, left = int(rows[0]), int(columns[0])
    part = np.ascontiguousarray(dense[top : rows[-1] + 1, left : columns[-1] + 1])
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    drawn = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, _CLOSE / scale, True).reshape(-1, 2)
        if len(points) >= 3:
            shown = np.rint((points + np.array([left + 0.5, top + 0.5])) * scale).astype(int)
            drawn.append("M" + "L".join(f"{x},{y}" for x, y in shown.tolist()) + "Z")
    return "".join(drawn)
