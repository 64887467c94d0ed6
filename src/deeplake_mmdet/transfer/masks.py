"""Masks on their way into a lake: taken, converted or left out, never silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.formats.segmentation import read_segmentation

__all__ = ["settle_masks"]

Change = tuple[str, str, str]


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
    if given is None:
        return dict(fields), []
    ids = fields.get("annotation_source_ids", fields.get("annotation_ids"))  # those of the file first
    masks, changes = [], []
    for place, value in enumerate(given):
        reading = read_segmentation(value, size)
        masks.append(reading.mask)
        if reading.reason is not None:
            which = f"object {place + 1}" if ids is None else f"annotation {ids[place]}"
            changes.append(("mask", reading.reason, f"{which}, segmentation {value!r:.100}"))
    return {**fields, "segmentations": masks}, changes
