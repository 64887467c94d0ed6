"""Masks on their way into a lake: taken, converted or left out, never silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.formats.segmentation import read_segmentation

__all__ = ["are_kept", "settle_masks"]

Change = tuple[str, str, str]
_NUMBERS = frozenset((int, float))
_SURELY_NEAR = 1e6  # pixels around a polygon at the most; what is longer is looked at by itself


def settle_masks(fields: Mapping[str, Any], size: tuple[int, int]) -> tuple[dict[str, Any], list[Change]]:
    """Check the masks of one image, once its size is known.

    Args:
        fields: Of an `ImageRecord`; ``segmentations`` as the file has them.
        size: Height and width of the image in pixels, as boxes and masks mean it.

    Returns:
        The fields, with masks that COCO's tools can read (None for those refused; their boxes stay), and what
        was changed, as in `PlannedImage`.
    """
    given = fields.get("segmentations")
    if given is None or _are_plain(given):
        return dict(fields), []
    remainders = fields.get("annotation_remainders")
    remainders = None if remainders is None else list(remainders)
    ids = fields.get("annotation_source_ids", fields.get("annotation_ids"))  # those of the file first
    masks, changes = [], []
    for place, value in enumerate(given):
        reading = read_segmentation(value, size)
        masks.append(reading.mask)
        if remainders is not None and value is not None and reading.mask != value:
            before = remainders[place] or {}
            remainders[place] = {**before, "has": {**before.get("has", {}), "segmentation": value}}
        if reading.reason is not None:
            which = f"object {place + 1}" if ids is None else f"annotation {ids[place]}"
            changes.append(("mask", reading.reason, f"{which}, segmentation {value!r:.100}"))
    fields = {**fields, "segmentations": masks}
    return fields if remainders is None else {**fields, "annotation_remainders": remainders}, changes


def are_kept(given: Sequence[Any], size: tuple[int, int] | None) -> bool:
    """Whether all masks will be stored as they are, as far as can be told from the file.

    Args:
        given: As the file has them.
        size: Height and width that the file states, in pixels; None if unknown.
    """
    return _are_plain(given) or all(
        value is None or read_segmentation(value, size).mask == value for value in given
    )


def _are_plain(given: Sequence[Any]) -> bool:
    """Whether all masks are polygons that are surely sound, or none; looked at together."""
    flat: list[Any] = []
    longest = 0
    for value in given:
        if value is None:
            continue
        if type(value) is not list:
            return False
        for part in value:
            if type(part) is not list or len(part) < 6 or len(part) % 2:
                return False
            flat += part
            longest = max(longest, len(part))
    if not _NUMBERS.issuperset(map(type, flat)):
        return False
    try:
        points = np.array(flat, np.float64)
    except OverflowError:
        return False
    return bool(longest * np.abs(points).max(initial=0) <= _SURELY_NEAR)  # not so if one is NaN
