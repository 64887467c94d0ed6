"""What a lake's columns are, as plain facts that need no open handle."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.schema.boxes import MODES, UNITS, BoxFormat

__all__ = [
    "CATEGORY_SOURCE_IDS",
    "ColumnFacts",
    "describe_columns",
    "holds_sequences",
    "read_metadata",
]

CATEGORY_SOURCE_IDS = "category_source_ids"  # JSON: ids of classes that are not all 64-bit integers
_DEEP_LAKES_MODES = ("ltwh", "ltrb", "ccwh")  # its type's constructor raises for others
_METADATA_KEYS = ("class_names", "category_ids", CATEGORY_SOURCE_IDS, "coords", "format", "exif_column")


@dataclass(frozen=True)
class ColumnFacts:
    """One column.

    Attributes:
        name: Column name; groups use ``/``.
        kind: Deep Lake's type kind in lower case, e.g. ``image``, ``boundingbox``, ``classlabel``; of
            sequences, links and nullable columns, that of what they hold.
        dtype: Element type, e.g. ``float64``.
        sample_compression: ``jpeg`` or ``png``, of masks ``lz4``; None if cells are raw arrays.
        dimensions: Number of dimensions of a cell, as far as the type tells it; 0 for scalars.
        is_link: Whether cells are links to files elsewhere.
        is_sequence: Whether cells are sequences of the type.
        is_nullable: Whether cells may be None.
        box_format: The declared box format, if it is complete.
        metadata: Those keys of the column's metadata that this package uses.
    """

    name: str
    kind: str
    dtype: str = ""
    sample_compression: str | None = None
    dimensions: int = 0
    is_link: bool = False
    is_sequence: bool = False
    is_nullable: bool = False
    box_format: BoxFormat | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        extra = f", {self.box_format}" if self.box_format else ""
        extra += f", {self.sample_compression}" if self.sample_compression else ""
        element = "" if self.dtype == self.kind else self.dtype
        return f"{self.kind} {element}{extra}".strip()

    @property
    def description(self) -> str:
        """The whole type for people, with what holds it."""
        held = f"sequences of {self}" if self.is_sequence else str(self)
        held = f"links to {held}" if self.is_link else held
        return f"{held}, nullable" if self.is_nullable else held


def describe_columns(handle: OpenLake) -> dict[str, ColumnFacts]:
    """Read the facts of all columns of an open lake.

    Args:
        handle: Open lake.

    Returns:
        Facts by column name, in the lake's own order.
    """
    facts = {}
    for column in handle.schema.columns:
        dtype = column.dtype
        kind = _kind(dtype)
        metadata = read_metadata(handle[column.name].metadata)
        facts[column.name] = ColumnFacts(
            name=column.name,
            kind=kind,
            dtype=str(dtype.id),
            sample_compression=_compression(dtype, "sample_compression"),
            dimensions=len(getattr(dtype, "shape", None) or ()),
            is_link=bool(dtype.is_link),
            is_sequence=holds_sequences(dtype),
            is_nullable=bool(getattr(dtype, "is_nullable", False)),
            box_format=_box_format(dtype, metadata) if kind == "boundingbox" else None,
            metadata=metadata,
        )
    return facts


def holds_sequences(dtype: Any) -> bool:
    """Whether the cells of a column are sequences, nullable ones included.

    Args:
        dtype: The column's type, as Deep Lake's schema gives it.
    """
    return bool(dtype.is_sequence) or "sequence[" in str(dtype)


# What Deep Lake's text of a type calls a kind -> what its TypeKind calls it.
_KINDS = {"bmask": "binarymask", "smask": "segmentmask", "bbox": "boundingbox"}
_HOLDERS = ("sequence", "link", "nullable")
_ELEMENT = re.compile(r"array|bool|u?int\d+|b?float\d+")


def _kind(dtype: Any) -> str:
    kind = str(dtype.kind).rpartition(".")[2].lower()
    if kind not in _HOLDERS:
        return kind
    # Only the type's text says what a sequence, a link or a nullable type holds, innermost last:
    # sequence[kind=class_label, ...], link subtype=[kind=image, ...], sequence[polygon], nullable[text ...].
    held = re.findall(r"\[(?:kind=)?(\w+)", str(dtype))
    if not held:
        return kind
    name = str(held[-1]).replace("_", "")
    return "generic" if _ELEMENT.fullmatch(name) else _KINDS.get(name, name)


def read_metadata(stored: Any, keys: Sequence[str] = _METADATA_KEYS) -> dict[str, Any]:
    """Read some entries of the metadata of a column or a lake.

    Args:
        stored: The metadata, as Deep Lake gives it.
        keys: The keys to read; by default those that this package uses of a column.

    Returns:
        The entries that there are, by key, as plain JSON values.
    """
    # Asking a column of an older lake for a key that it lacks aborts the process: look among its keys first.
    known = set(stored.keys())
    found = {}
    for key in keys:
        if key not in known:
            continue
        value = stored[key]
        if hasattr(value, "to_dict"):
            value = value.to_dict()
        found[key] = json.loads(json.dumps(value, default=_plain))
    return found


def _plain(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else list(value)


def _compression(dtype: Any, attribute: str) -> str | None:
    value = getattr(dtype, attribute, None)
    text = str(value).rpartition(".")[2].lower() if value is not None else None
    return "jpeg" if text == "jpg" else text


def _holding(dtype: Any, plain: Any) -> list[Any]:
    """The types to compare a column's type with: of boxes, or of sequences of them, nullable or not."""
    from deeplake import types

    if holds_sequences(dtype):
        plain = types.Sequence(plain)
    return [types.Nullable(plain), plain] if getattr(dtype, "is_nullable", False) else [plain]


def _box_format(dtype: Any, metadata: dict[str, Any]) -> BoxFormat | None:
    """The format has no getter: the type is compared with each that Deep Lake can declare."""
    from deeplake import types

    coords = metadata.get("coords")
    coords = coords if isinstance(coords, dict) else {}
    for mode in _DEEP_LAKES_MODES:
        for unit in UNITS:
            plain = types.BoundingBox(dtype.id, mode, unit)
            if dtype == plain or any(dtype == held for held in _holding(dtype, plain)):
                return BoxFormat(mode, unit)
    mode, unit = str(coords.get("mode", "")).lower(), str(coords.get("type", "")).lower()
    return BoxFormat(mode, unit) if mode in MODES and unit in UNITS else None
