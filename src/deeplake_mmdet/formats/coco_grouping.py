"""The annotations of a COCO file, sorted by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.formats.coco_file import CocoAnnotation
from deeplake_mmdet.formats.coco_remainder import Remainders, is_plain_box
from deeplake_mmdet.formats.coco_values import Id, IdIndex, read_flag, read_id, shown

__all__ = ["Grouped", "group_annotations"]

_FLAGS = ("iscrowd", "ignore")
# Keys of annotations that COCO has for other tasks.
_OTHER_TASKS = {"caption": " (a caption?)", "segments_info": " (panoptic segments?)"}


@dataclass
class Grouped:
    """Annotations by image, and those that cannot be taken.

    Attributes:
        annotations: Image id to its annotations, in file order.
        refused_of: Image id to ``(reason, detail)`` of those that cannot be taken.
        strays: ``(reason, detail)`` of those without an image.
        unknown_images: Image ids that annotations name and no image has, in their order.
        unknown_categories: Category ids that annotations name and no category has, in their order.
        remainders: Those of the annotations, and which keys they keep.
        repeated_ids: How many annotations carry an id that another one had before.
    """

    annotations: dict[Id, list[CocoAnnotation]] = field(default_factory=dict)
    refused_of: dict[Id, list[tuple[str, str]]] = field(default_factory=dict)
    strays: list[tuple[str, str]] = field(default_factory=list)
    unknown_images: dict[Id, None] = field(default_factory=dict)
    unknown_categories: dict[Id, None] = field(default_factory=dict)
    remainders: Remainders = field(default_factory=lambda: Remainders("annotations."))
    repeated_ids: int = 0


class _Refused(Exception):
    """An annotation cannot be taken.

    Args:
        reason: In the same words for all like it.
        key: The key whose value is the reason.
    """

    def __init__(self, reason: str, key: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key


def group_annotations(entries: list[Any], images: Iterable[Id], categories: Iterable[Id]) -> Grouped:
    """Sort the entries of ``annotations`` by image; each is taken or refused.

    Args:
        entries: As JSON has them.
        images: Ids of the images.
        categories: Ids of the categories.
    """
    result = Grouped()
    seen: set[Id] = set()
    by_image, by_category = IdIndex(images), IdIndex(categories)
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            detail = f"number {place}: {shown(entry)}"
            result.strays.append(("entry of 'annotations' is not an object", detail))
            continue
        number = read_id(entry.get("id"))
        if number is not None:
            result.repeated_ids += number in seen
            seen.add(number)
        changes: list[str] = []
        image = None
        try:
            image = _named(entry, "image", by_image, result.unknown_images, changes)
            category = _named(entry, "category", by_category, result.unknown_categories, changes)
            iscrowd, ignore = (_flag(entry, key, changes) for key in _FLAGS)
        except _Refused as refused:
            keys = dict.fromkeys(("image_id", refused.key))
            detail = ", ".join(
                [f"annotation {shown(entry.get('id'))}", *(f"{key} {shown(entry.get(key))}" for key in keys)]
            )
            if image is None:
                result.strays.append((refused.reason, detail))
            else:
                result.refused_of.setdefault(image, []).append((refused.reason, detail))
            continue
        annotation = CocoAnnotation(
            category_id=category,
            id=number,
            bbox=entry.get("bbox"),
            area=entry.get("area"),
            iscrowd=iscrowd or 0,
            ignore=ignore,
            segmentation=entry.get("segmentation"),
            changes=tuple(changes),
            remainder=result.remainders.of(entry, _read(entry, number, image, category, iscrowd, ignore)),
        )
        result.annotations.setdefault(image, []).append(annotation)
    return result


def _read(
    entry: dict[str, Any], number: Id | None, image: Id, category: Id, iscrowd: int | None, ignore: int | None
) -> dict[str, Any]:
    """What an export writes of an annotation; None stands for what is certainly not as in the entry."""
    area, mask = entry.get("area"), entry.get("segmentation")
    sound = isinstance(area, (int, float)) and not isinstance(area, bool) and 0 < area < 2**53
    read: dict[str, Any] = {
        "image_id": image,
        "category_id": category,
        "bbox": entry["bbox"] if is_plain_box(entry.get("bbox")) else _OTHERWISE,
        "area": area if sound else _OTHERWISE,
        "iscrowd": iscrowd or 0,
    }
    if number is not None:
        read["id"] = number
    if ignore:
        read["ignore"] = ignore
    if mask is not None:
        read["segmentation"] = mask
    return read


_OTHERWISE = object()


def _named(
    entry: dict[str, Any], what: str, index: IdIndex, unknown: dict[Id, None], changes: list[str]
) -> Id:
    key = f"{what}_id"
    given = entry.get(key)
    value = read_id(given)
    if value is None:
        if given is not None:
            raise _Refused(f"{key} is neither number nor text", key)
        hint = next((text for sign, text in _OTHER_TASKS.items() if sign in entry), "")
        raise _Refused(f"annotation has no {key}{hint}", key)
    found = index.find(value)
    if found is None:
        unknown[value] = None
        raise _Refused(f"annotation names {_WITH_ARTICLE[what]} that the file does not have", key)
    if not found[1]:
        changes.append(f"{key} is written otherwise than the {what}'s id and matched by its number")
    return found[0]


_WITH_ARTICLE = {"image": "an image", "category": "a category"}


def _flag(entry: dict[str, Any], key: str, changes: list[str]) -> int | None:
    given = entry.get(key)
    if given is None:
        return None
    found = read_flag(given)
    if found is None:
        raise _Refused(f"{key} cannot be read as 0 or 1", key)
    if found[1] is not None:
        changes.append(f"{key} {found[1]}")
    return found[0]
