"""Elements of a Pascal VOC file that nothing reads, as plain values: kept, to be written again."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["add_rest", "rest_of", "sound_text"]

_DEEPEST = 16
_TAG = re.compile(r"[^\W\d][\w.-]*")
# What XML cannot hold, in any spelling.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rest_of(node: ET.Element, read: Collection[str]) -> dict[str, Any]:
    """The elements below one that are not read, by name: texts, dicts of elements, or lists of either.

    Attributes, and what is nested deeper than 16 levels, are left out.

    Args:
        node: The element.
        read: Names of the elements to leave out.
    """
    return _values([child for child in node if child.tag not in read], _DEEPEST)


def _values(children: list[ET.Element], levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in children:
        if len(child) and not levels:
            continue
        value: Any = _values(list(child), levels - 1) if len(child) else child.text or ""
        if child.tag not in found:
            found[child.tag] = value
        elif isinstance(found[child.tag], list):
            found[child.tag].append(value)
        else:
            found[child.tag] = [found[child.tag], value]
    return found


def add_rest(parent: ET.Element, rest: Mapping[str, Any]) -> None:
    """Add elements below one.

    Args:
        parent: Gets them.
        rest: As `rest_of` gives them; names that XML does not take are passed over, and characters that it
            cannot hold become ``?``.
    """
    for tag, values in rest.items():
        if not _TAG.fullmatch(tag):
            continue
        for value in values if isinstance(values, list) else [values]:
            child = ET.SubElement(parent, tag)
            if isinstance(value, Mapping):
                add_rest(child, value)
            else:
                child.text = sound_text(value)


def sound_text(value: object) -> str:
    """A value as text that XML can hold; other characters become ``?``.

    Args:
        value: Its ``str`` counts.
    """
    return _NO_XML.sub("?", str(value))
