"""What a lake's columns are, as plain facts that need no open handle."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.lake.boxes import MODES, UNITS, BoxFormat

__all__ = ["ColumnFacts", "describe_columns"]

_METADATA_KEYS = ("class_names", "category_ids", "coords", "format")


@dataclass(frozen=True)
class ColumnFacts:
    """One column.

    Attributes:
        name: Column name; groups use ``/``.
        kind: Deep Lake's type kind in lower case, e.g. ``image``, ``boundingbox``, ``classlabel``; of
            sequences and links, that of what they hold.
        dtype: Element type, e.g. ``float64``.
        sample_compression: ``jpeg``, ``png``, ``null`` or None.
        is_link: Whether cells are links to files elsewhere.
        is_sequence: Whether cells are sequences of the type.
        box_format: The declared box format, if it is complete.
        metadata: Those keys of the column's metadata that this package uses.
    """

    name: str
    kind: str
    dtype: str = ""
    sample_compression: str | None = None
    is_link: bool = False
    is_sequence: bool = False
    box_format: BoxFormat | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        extra = f", {self.box_format}" if self.box_format else ""
        extra += f", {self.sample_compression}" if self.sample_compression else ""
        return f"{self.kind} {self.dtype}{extra}".strip()


def describe_columns(handle: Any) -> dict[str, ColumnFacts]:
    """Read the facts of all columns of an open lake, in the lake's own order."""
    facts = {}
    for column in handle.schema.columns:
        dtype = column.dtype
        kind = _kind(dtype)
        metadata = _metadata(handle[column.name])
        facts[column.name] = ColumnFacts(
            name=column.name,
            kind=kind,
            dtype=str(dtype.id),
            sample_compression=_compression(dtype, "sample_compression"),
            is_link=bool(dtype.is_link),
            is_sequence=bool(dtype.is_sequence),
            box_format=_box_format(dtype, metadata) if kind == "boundingbox" else None,
            metadata=metadata,
        )
    return facts


def _kind(dtype: Any) -> str:
    kind = str(dtype.kind).rpartition(".")[2].lower()
    # Only the type's text says what a sequence or a link holds: sequence[kind=class_label, ...].
    held = re.search(r"\[kind=(\w+)", str(dtype)) if dtype.is_sequence or dtype.is_link else None
    return held[1].replace("_", "") if held else kind


def _metadata(column: Any) -> dict[str, Any]:
    found = {}
    for key in _METADATA_KEYS:
        try:
            value = column.metadata[key]
        except (IndexError, KeyError):  # Deep Lake's "no such key"
            continue
        if hasattr(value, "to_dict"):
            value = value.to_dict()
        found[key] = json.loads(json.dumps(value, default=list))
    return found


def _compression(dtype: Any, attribute: str) -> str | None:
    value = getattr(dtype, attribute, None)
    text = str(value).rpartition(".")[2].lower() if value is not None else None
    return "jpeg" if text == "jpg" else text


def _box_format(dtype: Any, metadata: dict[str, Any]) -> BoxFormat | None:
    """The format has no getter: the type is compared with each that Deep Lake can declare."""
    from deeplake import types

    coords = metadata.get("coords") or {}
    for mode in MODES:
        for unit in UNITS:
            if dtype == types.BoundingBox(dtype.id, mode, unit):
                return BoxFormat(mode, unit)
    mode, unit = str(coords.get("mode", "")).lower(), str(coords.get("type", "")).lower()
    return BoxFormat(mode, unit) if mode in MODES and unit in UNITS else None
