"""Whether a COCO segmentation is sound.

pycocotools trusts what it is given: coordinates that are not finite or far away end the process, run lengths
that fall short of the image become masks of whatever the memory holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["polygon_fault", "run_length_fault", "run_lengths", "segmentation_fault"]

_FARTHEST = 1e6  # pixels from the image's corner; pycocotools counts fifths of a pixel in 32 bits
_LONGEST = 2e6  # pixels around one polygon, for which pycocotools takes about 160 MB
_MOST_DIGITS = 6  # of a compressed run length, of five bits each


def segmentation_fault(mask: Any, size: tuple[int, int]) -> str | None:
    """Say what keeps a segmentation from being used.

    Polygons of an odd number of coordinates, or of less than three points, pass: MMDetection leaves them out,
    and ignores an object that has no others.

    Args:
        mask: Polygons ``[[x, y, x, y, ...], ...]`` in pixels, an RLE dict, or None.
        size: Height and width of the image in pixels.

    Returns:
        The fault, for a message; None for a sound segmentation, and where there is no mask.
    """
    if mask is None or mask == {}:
        return None
    if isinstance(mask, Mapping):
        return run_length_fault(mask, size)
    if not isinstance(mask, list):
        return f"it is a {type(mask).__name__}, neither polygons nor run lengths"
    if len(mask) > 2 and all(isinstance(part, list) and len(part) == 2 for part in mask):
        return "its points are pairs, not one list of coordinates"
    for part in mask:
        if not isinstance(part, list):
            kinds = {dict: "run lengths", str: "texts", int: "numbers", float: "numbers"}
            return f"it is a list of {kinds.get(type(part), type(part).__name__)}, not of polygons"
        if any(isinstance(value, (list, dict)) for value in part):
            return "its points are nested, not one list of coordinates"
        fault = polygon_fault(part)
        if fault is not None and fault not in _LEFT_OUT:
            return fault
    return None


def polygon_fault(part: Sequence[Any]) -> str | None:
    """Say what keeps one polygon from being used.

    Args:
        part: Its corners in pixels, ``[x, y, x, y, ...]``.

    Returns:
        The fault, for a message; None for a sound polygon.
    """
    if not set(map(type, part)) <= {int, float}:
        return "a coordinate is no number"
    try:
        points = np.array(part, np.float64)
    except OverflowError:
        return _FAR
    if not np.isfinite(points).all():
        return "a coordinate is not finite"
    farthest = float(np.abs(points).max(initial=0))
    if farthest > _FARTHEST:
        return _FAR
    if len(part) % 2:
        return _ODD
    if len(part) < 6:
        return _SHORT
    if len(part) * farthest > _LONGEST:
        corners = points.reshape(-1, 2)
        steps = np.abs(np.diff(corners, axis=0, append=corners[:1]))
        if steps.max(axis=1).sum() > _LONGEST:
            return "a polygon is more than two million pixels long"
    return None


_FAR = "a coordinate is more than a million pixels away"
_ODD = "a polygon has an odd number of coordinates"
_SHORT = "a polygon has less than three points"
_LEFT_OUT = (_ODD, _SHORT)


def run_length_fault(mask: Mapping[str, Any], size: tuple[int, int]) -> str | None:
    """Say what keeps an RLE dict from being used.

    Args:
        mask: With ``size``, [height, width], and ``counts``, a list of whole numbers or COCO's text of them.
        size: Height and width of the image in pixels.

    Returns:
        The fault, for a message; None for sound run lengths.
    """
    stated, counts = mask.get("size"), mask.get("counts")
    if stated is None or counts is None:
        return f"run lengths without {'size' if stated is None else 'counts'}"
    if not isinstance(stated, (list, tuple)) or [*stated] != [*size]:
        shown = tuple(stated) if isinstance(stated, list) else stated
        return f"its run lengths are of another size, {shown!r:.40}, its image {size}"
    lengths = run_lengths(counts)
    if lengths is None:
        return "run lengths that cannot be read"
    if int(lengths.sum()) != size[0] * size[1]:
        return f"run lengths for {int(lengths.sum())} pixels in an image of {size[0] * size[1]}"
    return None


def run_lengths(counts: Any) -> NDArray[np.int64] | None:
    """Read the run lengths of an RLE dict, in pixels.

    Args:
        counts: A list of whole numbers, or COCO's compressed text (or bytes) of them.

    Returns:
        Shape (n,), int64; None if they cannot be read.
    """
    if isinstance(counts, (list, tuple)):
        if not set(map(type, counts)) <= {int}:
            return None
        try:
            listed = np.array(counts, np.int64)
        except OverflowError:
            return None
        return listed if not len(listed) or _plausible(listed) else None
    if isinstance(counts, str):
        if not counts.isascii():
            return None
        counts = counts.encode()
    return _decompressed(counts) if isinstance(counts, bytes) else None


def _decompressed(text: bytes) -> NDArray[np.int64] | None:
    """Decode COCO's text: five bits a character, the lowest first; from the fourth number on, the text
    holds the difference to the number before the last.
    """
    digits = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MOST_DIGITS:
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    values = np.add.reduceat((digits & 31) << 5 * places, starts)
    values -= np.where(digits[ends] & 16, np.int64(1) << 5 * lengths, 0)
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values if _plausible(values) else None


def _plausible(values: NDArray[np.int64]) -> bool:
    return bool(values.min() >= 0 and values.max() < 2**31)
