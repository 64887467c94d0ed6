"""The objects of a Pascal VOC file, read as MMDetection's ``XMLDataset`` reads them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.formats.voc_rest import rest_of

__all__ = ["VocObject", "read_names", "read_objects"]

_READ = {"name", "difficult", "bndbox"}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_OTHER_SHAPES = ("robndbox", "polygon", "points", "segmentation", "mask", "ellipse", "circle", "line")
_YES, _NO = {"true", "yes", "t", "y"}, {"false", "no", "f", "n"}
# Three digits after the comma may be thousands.
_COMMA = re.compile(r"\s*([+-]?\d+),(\d{1,2}|\d{4,})\s*")


@dataclass(frozen=True, slots=True)
class VocObject:
    """One object of an XML file.

    Attributes:
        name: Class name without spaces and line breaks around it.
        box: ``(xmin, ymin, xmax, ymax)`` in pixels, each ``int(float(text)) - 1`` as in MMDetection's
            ``XMLDataset``.
        difficult: 1 or 0; 0 where the file says nothing, or nothing that can be read.
        fault: Why this object cannot be used, or ``None``.
        stated_name: Class name as it stands in the file, which is what ``XMLDataset`` compares.
        stated_box: The corners' texts, for messages.
        changes: ``(reason, detail)`` of what is read otherwise than the file says.
        rest: Elements that nothing reads, see `rest_of`.
    """

    name: str
    box: tuple[int, int, int, int]
    difficult: int
    fault: str | None = None
    stated_name: str = ""
    stated_box: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    rest: dict[str, Any] = field(default_factory=dict)


def read_objects(tree: ET.Element) -> tuple[VocObject, ...]:
    """The objects of an ``<annotation>`` in file order.

    Elements called so elsewhere in the file, which ``XMLDataset`` does not see, come last, each with its
    fault.

    Args:
        tree: The element that holds the objects.
    """
    nodes, strays = _nodes(tree)
    found = [_object(node) for node in nodes]
    for node in strays:
        name = _text(node, "name").strip()
        found.append(VocObject(name, (0, 0, 0, 0), 0, "object is not an <object> right below <annotation>"))
    return tuple(found)


def read_names(tree: ET.Element) -> list[str]:
    """The class names alone of `read_objects`, as they stand in the file; empty where an object has none.

    Args:
        tree: The element that holds the objects.
    """
    nodes, strays = _nodes(tree)
    return [_text(node, "name") for node in (*nodes, *strays)]


def _nodes(tree: ET.Element) -> tuple[list[ET.Element], list[ET.Element]]:
    """The elements of objects, and others that are called so."""
    nodes = tree.findall("object")
    strays = [node for node in tree.iter() if node.tag.lower() == "object"]
    if len(strays) == len(nodes):
        return nodes, []
    inside = {id(part) for node in nodes for part in node.iter()}
    return nodes, [node for node in strays if id(node) not in inside]


def _object(node: ET.Element) -> VocObject:
    changes: list[tuple[str, str]] = []
    stated_name = _text(node, "name")
    corners, stated_box, fault = _corners(node, changes)
    if not stated_name.strip():
        fault = "object without a class name"
    difficult = _flag(_text(node, "difficult"))
    if difficult is None:
        changes.append(("'difficult' cannot be read and counts as 0", repr(_text(node, "difficult"))))
    return VocObject(
        name=stated_name.strip(),
        box=corners,
        difficult=difficult or 0,
        fault=fault,
        stated_name=stated_name,
        stated_box=stated_box,
        changes=tuple(changes),
        rest=rest_of(node, _READ),
    )


def _corners(
    node: ET.Element, changes: list[tuple[str, str]]
) -> tuple[tuple[int, int, int, int], str, str | None]:
    """The box, its texts and its fault; of a box with a fault the numbers are 0."""
    none = (0, 0, 0, 0)
    bndbox = node.find("bndbox")
    if bndbox is None:
        other = next((shape for shape in _OTHER_SHAPES if node.find(shape) is not None), None)
        return none, "", f"object has a <{other}> and no <bndbox>" if other else "box is missing"
    if len(node.findall("bndbox")) > 1:
        changes.append(
            ("object has several boxes, the first is taken", f"{len(node.findall('bndbox'))} boxes")
        )
    texts = [bndbox.findtext(corner) for corner in _CORNERS]
    stated = " ".join((text or "").strip() or "?" for text in texts)
    absent = [corner for corner, text in zip(_CORNERS, texts, strict=True) if text is None]
    if absent:
        return none, stated, "box is missing" if len(absent) == 4 else "box lacks corners"
    if "," in stated and any(_COMMA.fullmatch(text or "") for text in texts):
        texts = [_COMMA.sub(r"\1.\2", text or "") for text in texts]
        changes.append(("box has decimal commas, read as points", stated))
    try:
        xmin, ymin, xmax, ymax = (int(float(text or "")) - 1 for text in texts)
        float(max(map(abs, (xmin, ymin, xmax, ymax))))
    except (ValueError, OverflowError):  # int() of a NaN, of an infinity
        return none, stated, "box is not four finite numbers"
    return (xmin, ymin, xmax, ymax), stated, None


def _flag(text: str) -> int | None:
    """``None`` where the text says neither yes nor no; an empty one says no."""
    word = text.strip().lower()
    if not word or word in _NO:
        return 0
    if word in _YES:
        return 1
    try:
        number = float(word)
    except ValueError:
        return None
    return int(number != 0) if number.is_integer() else None


def _text(node: ET.Element, tag: str) -> str:
    return node.findtext(tag) or ""
