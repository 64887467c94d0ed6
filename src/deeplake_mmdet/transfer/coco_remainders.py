"""How a lake keeps what a COCO file says beyond its columns: in two columns of JSON and beside its images."""

from __future__ import annotations

import json
from typing import Any

from deeplake_mmdet.formats.coco_file import CocoFile, CocoImage
from deeplake_mmdet.formats.coco_remainder import Remainder
from deeplake_mmdet.lake.source_facts import COCO_FACTS
from deeplake_mmdet.transfer.masks import are_kept

__all__ = ["facts_of", "image_remainder", "remainder_columns"]


def facts_of(coco: CocoFile) -> dict[str, str]:
    """What is to be kept of the file as a whole, for `LakeWriter.remainder`; empty if there is nothing.

    The JSON holds ``others`` (``info``, ``licenses``, ...) and ``categories``, their remainders by label.

    Args:
        coco: The file.
    """
    facts: dict[str, Any] = {}
    if coco.others:
        facts["others"] = coco.others
    if any(category.remainder for category in coco.categories):
        facts["categories"] = [category.remainder for category in coco.categories]
    return {COCO_FACTS: json.dumps(facts)} if facts else {}


def remainder_columns(coco: CocoFile, *, as_stated: bool) -> set[str]:
    """Which of the two columns of remainders this file fills.

    Args:
        coco: The file.
        as_stated: Whether the lake calls all images as the file does.
    """
    columns = set()
    if not as_stated or any(image.remainder for image in coco.images):
        columns.add("image_remainder")
    for image in coco.images:
        group = coco.annotations_of(image.id)
        size = None if image.height is None or image.width is None else (image.height, image.width)
        if any(one.remainder for one in group) or not are_kept([one.segmentation for one in group], size):
            return columns | {"annotation_remainders"}
    return columns


def image_remainder(image: CocoImage, name: str) -> Remainder:
    """The remainder of an image that the lake calls by some name; empty if there is none.

    Args:
        image: The image.
        name: The file's name in the lake.
    """
    remainder = image.remainder or {}
    if name == image.file_name or "file_name" in remainder.get("lacks", ()):
        return remainder
    return {**remainder, "has": {"file_name": image.file_name, **remainder.get("has", {})}}
