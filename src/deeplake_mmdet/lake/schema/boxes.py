"""Box formats and their exact conversion to xyxy pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import BoxFormatError

__all__ = ["NO_BOXES", "BoxFormat", "corners_of", "to_xywh", "to_xyxy"]

Boxes = NDArray[np.float64]


def _unchanged(boxes: Boxes) -> None:
    pass


def _ltwh_to_ltrb(boxes: Boxes) -> None:
    boxes[:, 2:] += boxes[:, :2]


def _ltrb_to_ltwh(boxes: Boxes) -> None:
    boxes[:, 2:] -= boxes[:, :2]


def _ccwh_to_ltrb(boxes: Boxes) -> None:
    half, centre = boxes[:, 2:] / 2, boxes[:, :2].copy()
    boxes[:, :2] = centre - half
    boxes[:, 2:] = centre + half


def _ccwh_to_ltwh(boxes: Boxes) -> None:
    boxes[:, :2] -= boxes[:, 2:] / 2


# How boxes of each mode are made corners, and COCO's boxes, in place. One by way of the other would change
# widths in the last bits.
_CONVERSIONS: dict[str, tuple[Callable[[Boxes], None], Callable[[Boxes], None]]] = {
    "ltwh": (_ltwh_to_ltrb, _unchanged),
    "ltrb": (_unchanged, _ltrb_to_ltwh),
    "ccwh": (_ccwh_to_ltrb, _ccwh_to_ltwh),
}
MODES = tuple(_CONVERSIONS)
UNITS = ("pixel", "fractional")
_FEW = 32  # boxes; for these a call of NumPy costs more than it saves
_EXAMPLES = "one of " + ", ".join(f"'{mode}_{unit}'" for mode in MODES for unit in UNITS)


@dataclass(frozen=True)
class BoxFormat:
    """How a lake stores a box.

    Attributes:
        mode: ``ltwh`` (left, top, width, height), ``ltrb`` (left, top, right, bottom) or
            ``ccwh`` (centre x, centre y, width, height).
        unit: ``pixel``, or ``fractional`` of the image's width and height.
    """

    mode: str
    unit: str

    @classmethod
    def parse(cls, text: str) -> BoxFormat:
        """Read a box format from a text such as ``'ltwh'`` or ``'ccwh_fractional'``.

        Args:
            text: Mode and unit, joined by ``_`` or ``-``; case is ignored. The unit is pixels if left out.

        Raises:
            BoxFormatError: The text names no format.
        """
        mode, _, unit = str(text).lower().replace("-", "_").partition("_")
        if mode not in MODES or (unit or "pixel") not in UNITS:
            raise BoxFormatError(
                f"Unknown box format {text!r}", where="dataset key 'box_format'", advice=f"use {_EXAMPLES}"
            )
        return cls(mode, unit or "pixel")

    def __str__(self) -> str:
        return f"{self.mode}_{self.unit}"


#: Of lakes that are opened for their images alone.
NO_BOXES = BoxFormat("ltrb", "pixel")


def to_xyxy(
    boxes: NDArray[np.float64],
    box_format: BoxFormat,
    widths: NDArray[np.generic] | float,
    heights: NDArray[np.generic] | float,
) -> NDArray[np.float64]:
    """Convert boxes to (left, top, right, bottom) in pixels, in float64 and without rounding.

    Args:
        boxes: Shape (n, 4), in ``box_format``.
        box_format: The stored format.
        widths, heights: Size in pixels of each box's image, shape (n,) or one number. Used if fractional.

    Returns:
        Shape (n, 4), float64.
    """
    out = _in_pixels(boxes, box_format, widths, heights)
    _CONVERSIONS[box_format.mode][0](out)
    return out


def corners_of(
    boxes: NDArray[np.float64], box_format: BoxFormat, width: float, height: float
) -> list[list[float]]:
    """Corners of the boxes of one image as plain lists; faster than `to_xyxy`.

    Args:
        boxes: Shape (n, 4), in ``box_format``.
        box_format: The stored format.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Returns:
        [left, top, right, bottom] in pixels for each box.
    """
    if len(boxes) <= _FEW and (box_format.mode, box_format.unit) == ("ltwh", "pixel"):
        return [[x, y, x + w, y + h] for x, y, w, h in boxes.tolist()]
    found: list[list[float]] = to_xyxy(boxes, box_format, width, height).tolist()
    return found


def to_xywh(
    boxes: NDArray[np.float64],
    box_format: BoxFormat,
    widths: NDArray[np.generic] | float,
    heights: NDArray[np.generic] | float,
) -> NDArray[np.float64]:
    """Convert boxes to COCO's (left, top, width, height) in pixels; pixel LTWH comes back unchanged.

    Args:
        boxes: Shape (n, 4), in ``box_format``.
        box_format: The stored format.
        widths, heights: Size in pixels of each box's image, shape (n,) or one number. Used if fractional.

    Returns:
        Shape (n, 4), float64.
    """
    out = _in_pixels(boxes, box_format, widths, heights)
    _CONVERSIONS[box_format.mode][1](out)
    return out


def _in_pixels(boxes: Boxes, box_format: BoxFormat, widths: Any, heights: Any) -> Boxes:
    """A copy of the boxes in pixels, still in their mode, in which columns alternate between x and y."""
    out = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    if box_format.unit == "fractional":
        out[:, 0::2] *= np.asarray(widths, np.float64).reshape(-1, 1)
        out[:, 1::2] *= np.asarray(heights, np.float64).reshape(-1, 1)
    return out
