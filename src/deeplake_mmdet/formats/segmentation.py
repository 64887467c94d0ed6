"""COCO's ``segmentation`` as people have it, brought into the two forms that COCO knows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.lake.images.segmentation import polygon_fault, run_length_fault, run_lengths

__all__ = ["MaskReading", "read_segmentation"]


@dataclass(frozen=True, slots=True)
class MaskReading:
    """One mask.

    Attributes:
        mask: Polygons ``[[x, y, x, y, ...], ...]`` in pixels, an RLE dict ``{'size': [height, width],
            'counts': list or text}``, or None (an empty list) where there is no mask that can be used.
        reason: Why it is not as it was given, in the same words for all like it; None if it is.
    """

    mask: Any
    reason: str | None = None


class _Refused(Exception):
    """A mask cannot be used; the text is the reason."""


def read_segmentation(value: Any, size: tuple[int, int] | None) -> MaskReading:
    """Take, convert or refuse one ``segmentation``.

    Sound polygons and run lengths are taken as they are; ``None``, ``[]`` and ``{}`` mean no mask. What else
    has a certain meaning is converted: one polygon without its list, points as pairs or as ``x`` and ``y``,
    numbers or the whole written as text, several run lengths for one object, whole run lengths written as
    floats, run lengths without a size that fill the image. As in MMDetection, parts that are no polygons
    (an odd number of coordinates, less than three points) are left out if others remain. All else is refused:
    MMDetection would ignore the object, fail, or take in a mask that is not the object's.

    Args:
        value: As JSON has it.
        size: Height and width of the image in pixels; None if they are not known, and then run lengths are
            held against the size that they state themselves.
    """
    if value is None or value == []:
        return MaskReading(value)
    notes: dict[str, None] = {}
    try:
        mask = _mask(value, size, notes)
    except _Refused as refused:
        return MaskReading(None, f"mask cannot be used: {refused}")
    if mask is None or not notes:
        return MaskReading(mask)
    return MaskReading(mask, f"mask converted: {', '.join(notes)}")


def _mask(value: Any, size: tuple[int, int] | None, notes: dict[str, None]) -> Any:
    if isinstance(value, str):
        if not value.strip():
            return None
        notes["written as text"] = None
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _Refused("it is a text that is not JSON") from None
    if value is None or value == {}:
        return None
    if isinstance(value, Mapping):
        return _run_lengths(value, size, notes)
    if not isinstance(value, list):
        raise _Refused(f"it is a {type(value).__name__}, neither polygons nor run lengths")
    if value and all(isinstance(part, Mapping) and "counts" in part for part in value):
        return _merged([_run_lengths(part, size, notes) for part in value], notes)
    return _polygons(value, notes)


def _polygons(value: list[Any], notes: dict[str, None]) -> list[Any] | None:
    parts = _parts(value, notes)
    if all(part == [] for part in parts):
        return None
    good, faults = [], []
    for part in parts:
        fault = "a part is no polygon" if part is None else polygon_fault(part)
        if fault is None:
            good.append(part)
        else:
            faults.append(fault)
    if not good:
        raise _Refused(faults[0])
    if faults:
        notes[f"parts left out, as {faults[0]}"] = None
    return good if notes else value


def _parts(value: list[Any], notes: dict[str, None]) -> list[list[Any] | None]:
    """Flat lists of coordinates; None for what is none."""
    if (flat := _flat(value, notes)) is not None:
        notes["one polygon without its list"] = None
        return [flat]
    if len(value) > 2 and (flat := _joined(value, notes)) is not None:
        return [flat]
    parts: list[list[Any] | None] = []
    for item in value:
        if not isinstance(item, list):
            parts.append(None)
        elif (flat := _flat(item, notes)) is not None or (flat := _joined(item, notes)) is not None:
            parts.append(flat)
        else:
            inner = [_flat(part, notes) if isinstance(part, list) else None for part in item]
            if any(part is not None for part in inner):
                notes["polygons nested too deep"] = None
            parts += inner
    return parts


def _flat(value: list[Any], notes: dict[str, None]) -> list[Any] | None:
    """A list of numbers; None if it is none."""
    kinds = set(map(type, value))
    if kinds <= {int, float}:
        return value if value else []
    if not kinds <= {int, float, str}:
        return None
    numbers = [_number(entry) for entry in value]
    if any(number is None for number in numbers):
        return None
    notes["numbers written as text"] = None
    return numbers


def _joined(points: list[Any], notes: dict[str, None]) -> list[Any] | None:
    """Points as one list of coordinates; None if they are no points."""
    pairs = []
    for point in points:
        pair = point
        if isinstance(point, Mapping) and {"x", "y"} <= point.keys():
            pair = [point["x"], point["y"]]
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        numbers = [_number(entry) for entry in pair]
        if None in numbers:
            return None
        pairs += numbers
    notes["points as pairs"] = None
    return pairs


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value if type(value) in (int, float) else None


def _run_lengths(
    value: Mapping[str, Any], size: tuple[int, int] | None, notes: dict[str, None]
) -> dict[str, Any]:
    found, changed = dict(value), False
    counts = value.get("counts")
    if counts is None:
        raise _Refused("it is an object without run lengths")
    if isinstance(counts, bytes):  # MMDetection ignores an object whose counts are bytes
        found["counts"], changed = counts.decode("latin-1"), True
        notes["run lengths as bytes"] = None
    elif isinstance(counts, list) and not set(map(type, counts)) <= {int}:
        found["counts"], changed = [_whole(entry) for entry in counts], True
        notes["run lengths that are not written as whole numbers"] = None
    lengths = run_lengths(found["counts"])
    if lengths is None:
        raise _Refused("its run lengths cannot be read")
    stated = value.get("size")
    if stated is None:
        if size is None or int(lengths.sum()) != size[0] * size[1]:
            raise _Refused("its run lengths have no size")
        found["size"], changed = list(size), True
        notes["run lengths without a size that fill the image"] = None
    elif not isinstance(stated, list) or len(stated) != 2:
        raise _Refused("the size of its run lengths is not [height, width]")
    elif not set(map(type, stated)) <= {int}:
        found["size"], changed = [_whole(entry) for entry in stated], True
        notes["a size that is not written as whole numbers"] = None
    own: list[int] = found["size"]
    if size is not None and own != list(size):
        raise _Refused("its run lengths are of another size than the image")
    if run_length_fault(found, (own[0], own[1])) is not None:
        raise _Refused("its run lengths do not fill the image")
    return found if changed else value  # type: ignore[return-value]


def _whole(value: Any) -> int:
    number = _number(value)
    if number is None or not math.isfinite(number) or int(number) != number:
        raise _Refused("its run lengths or their size are no whole numbers")
    return int(number)


def _merged(masks: list[dict[str, Any]], notes: dict[str, None]) -> dict[str, Any]:
    """One mask of all pixels of several."""
    if len(masks) == 1:
        notes["run lengths in a list"] = None
        return masks[0]
    notes["several run lengths for one object"] = None
    if len({tuple(mask["size"]) for mask in masks}) > 1:
        raise _Refused("its run lengths are of different sizes")
    from pycocotools import mask as coco_mask

    plain = [
        coco_mask.frPyObjects(mask, *mask["size"]) if isinstance(mask["counts"], list) else mask
        for mask in masks
    ]
    joined = coco_mask.merge(plain)
    return {"size": masks[0]["size"], "counts": joined["counts"].decode("ascii")}
