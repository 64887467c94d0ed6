"""Which column plays which role."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake.columns import ColumnFacts

__all__ = [
    "COCO_JSON",
    "EXIF_TURNED",
    "STORED_PIXELS",
    "TURNED_PIXELS",
    "Roles",
    "assign_roles",
    "explain_roles",
]

# Marks in a column's metadata key 'format'. Sizes are trusted only where an import that decoded every image
# wrote them: a size column of other origin may mean the image before it was shrunk, or after it was turned.
STORED_PIXELS = "stored-pixels"
TURNED_PIXELS = "turned-pixels"  # of images that are turned as the column marked EXIF_TURNED says
EXIF_TURNED = "exif-turned"
COCO_JSON = "coco-json"


@dataclass(frozen=True)
class Roles:
    """Column names by role; None where the lake has no such column."""

    img: str
    gt_bboxes: str
    gt_labels: str
    gt_masks: str | None = None
    iscrowd: str | None = None
    area: str | None = None
    difficult: str | None = None
    ignore: str | None = None
    img_id: str | None = None
    file_name: str | None = None
    width: str | None = None
    height: str | None = None
    exif_turned: str | None = None


@dataclass(frozen=True)
class _Rule:
    kinds: tuple[str, ...]  # the better first
    names: tuple[str, ...]  # conventions, best first
    by_kind: bool = False  # whether any column of the kind qualifies, whatever its name
    marks: tuple[str, ...] = ()  # what metadata key 'format' must say, one of these
    sequences: tuple[str, ...] = ()  # kinds of which sequences serve too


_NUMBERS = ("generic",)
_SIZES = (STORED_PIXELS, TURNED_PIXELS)
_RULES = {
    "img": _Rule(("image",), ("images", "image", "img"), by_kind=True),
    "gt_bboxes": _Rule(("boundingbox",), ("boxes", "bboxes", "bbox", "gt_bboxes"), by_kind=True),
    "gt_labels": _Rule(
        ("classlabel",),
        ("categories", "labels", "label", "classes", "gt_labels"),
        by_kind=True,
        sequences=("classlabel", "generic"),  # reading sequences of text crashes Deep Lake 4.7
    ),
    "gt_masks": _Rule(
        ("text", "polygon", "binarymask"),
        ("segmentations", "masks", "gt_masks", "mask", "polygons", "segmentation"),
        by_kind=True,
        sequences=("polygon",),
    ),
    "iscrowd": _Rule(_NUMBERS, ("iscrowds", "iscrowd")),
    "area": _Rule(_NUMBERS, ("areas", "area")),
    "difficult": _Rule(_NUMBERS, ("difficults", "difficult")),
    "ignore": _Rule(_NUMBERS, ("ignores", "ignore")),
    "img_id": _Rule(_NUMBERS, ("image_id", "img_id", "image_ids", "img_ids")),
    "file_name": _Rule(("text",), ("file_name", "file_names", "filename")),
    "width": _Rule(_NUMBERS, ("width", "widths"), marks=_SIZES),
    "height": _Rule(_NUMBERS, ("height", "heights"), marks=_SIZES),
    "exif_turned": _Rule(_NUMBERS, ("exif_turned",), marks=(EXIF_TURNED,)),
}
_REQUIRED = ("img", "gt_bboxes", "gt_labels")


def assign_roles(
    columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None = None, *, stored_sizes: bool = True
) -> Roles:
    """Give each role a column: the one named in ``given``, else one inferred from the schema.

    Inference looks at types first and then at conventional names. A column inside a group (``pose/boxes``)
    is taken only if no top-level column qualifies. Columns of image sizes must be marked as measured on the
    stored pixels, as this package's imports mark them, or be named in ``given``.

    Args:
        columns: Facts by column name.
        given: Role to column name, as ``tensors=`` has it; may be partial. None or an empty string leaves
            a role to inference, False switches an extra role off, as in ``dict(area=False)``; of the two
            sizes either switches off both.
        stored_sizes: Whether the sizes that the lake states are wanted; otherwise only named columns serve
            for them, and images are measured.

    Raises:
        ConfigError: ``given`` names an unknown role, or only one of ``width`` and ``height``, or switches a
            required role off.
        ColumnError: A named column does not exist or has the wrong type; a required role has no candidate
            or several equally good ones.
    """
    return _assign(columns, given, stored_sizes)[0]


def explain_roles(
    columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None = None, *, stored_sizes: bool = True
) -> str:
    """One line that says which column got which role and why; arguments and errors as `assign_roles`."""
    roles, reasons = _assign(columns, given, stored_sizes)
    parts = [f"{role}={getattr(roles, role) or 'none'} ({reason})" for role, reason in reasons.items()]
    return "roles: " + ", ".join(parts)


def _assign(
    columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None, stored_sizes: bool
) -> tuple[Roles, dict[str, str]]:
    known = [field.name for field in fields(Roles)]
    named = {role: name for role, name in (given or {}).items() if name}
    for role in given or {}:
        if role not in known:
            raise ConfigError(
                f"Unknown role {role!r}",
                where="dataset key 'tensors'",
                advice=_nearest(role, known, "roles"),
            )
    chosen: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    for role in known:
        if (given or {}).get(role) is False:
            chosen[role], reason = _switched_off(role)
        elif role in named:
            chosen[role], reason = _check_named(columns, role, named[role]), "named in tensors"
        elif _RULES[role].marks is _SIZES and not stored_sizes:
            chosen[role], reason = None, None
        else:
            chosen[role], reason = _infer(columns, role)
        if reason:
            reasons[role] = reason
    if (chosen["width"] is None) != (chosen["height"] is None):
        if "width" in named or "height" in named:
            raise ConfigError(
                "Image sizes need two columns, but only one is named",
                where="dataset key 'tensors', roles 'width' and 'height'",
                advice="name both, or neither",
            )
        for role in ("width", "height"):
            if chosen[role]:
                chosen[role] = None
                del reasons[role]
    return Roles(**chosen), reasons  # type: ignore[arg-type]


def _switched_off(role: str) -> tuple[None, str]:
    if role in _REQUIRED:
        raise ConfigError(
            f"Role {role!r} cannot be switched off",
            where=f"dataset key 'tensors', role {role!r}",
            advice=f"{', '.join(_REQUIRED)} are required; name a column, or leave the role out",
        )
    return None, "switched off in tensors"


def _check_named(columns: Mapping[str, ColumnFacts], role: str, name: Any) -> str:
    where = f"dataset key 'tensors', role {role!r}"
    if not isinstance(name, str) or name not in columns:
        raise ColumnError(
            f"The lake has no column {name!r}", where=where, advice=_nearest(str(name), columns, "columns")
        )
    rule, column = _RULES[role], columns[name]
    kinds = rule.kinds + (_NUMBERS if role in ("img", "gt_bboxes", "gt_labels") else ())
    if role == "gt_labels":
        kinds += ("text",)  # never inferred: most columns of text are no labels
    if column.kind in kinds and _cells_fit(rule, column):
        return name
    advice = f"name a column of kind {' or '.join(rule.kinds)}"
    if role == "gt_masks" and column.kind == "segmentmask":
        advice += "; a segment mask tells the class of each pixel, not which object it belongs to"
    sequence = "sequences of " if column.is_sequence else ""
    raise ColumnError(
        f"Column {name!r} is of type {sequence}{column} and cannot serve as {role!r}",
        where=where,
        advice=advice,
    )


def _infer(columns: Mapping[str, ColumnFacts], role: str) -> tuple[str | None, str | None]:
    """The column for a role and the reason; a role that stays open has a reason only if it might not."""
    rule = _RULES[role]
    found = [name for name, column in columns.items() if _qualifies(rule, column)]
    candidates = [name for name in found if "/" not in name] or found
    if not candidates:
        if role not in _REQUIRED:
            return None, None
        raise ColumnError(
            f"The lake has no column for {role!r} (looked for type {' or '.join(rule.kinds)})",
            where=f"columns {_listing(columns)}",
            advice=f"name one: tensors=dict({role}='<column>')",
        )
    scores = {name: _score(rule, columns[name]) for name in candidates}
    best = [name for name in candidates if scores[name] == min(scores.values())]
    if len(best) == 1:
        return best[0], _reason(rule, columns[best[0]], [name for name in found if name != best[0]])
    if role not in _REQUIRED:
        return None, f"equally good: {' and '.join(best)}"
    raise ColumnError(
        f"Several columns could serve as {role!r}: {', '.join(map(repr, best))}",
        where=f"columns {_listing(columns)}",
        advice=f"name one: tensors=dict({role}={best[0]!r})",
    )


def _qualifies(rule: _Rule, column: ColumnFacts) -> bool:
    if column.kind not in rule.kinds or not _cells_fit(rule, column):
        return False
    if rule.marks:
        return _leaf(column.name) in rule.names and column.metadata.get("format") in rule.marks
    if column.kind == "text" and rule.by_kind:  # any other text is no mask
        return column.metadata.get("format") == COCO_JSON or _leaf(column.name) == rule.names[0]
    return rule.by_kind or _leaf(column.name) in rule.names


def _cells_fit(rule: _Rule, column: ColumnFacts) -> bool:
    return not column.is_sequence or column.kind in rule.sequences


def _score(rule: _Rule, column: ColumnFacts) -> tuple[int, bool, int]:
    """The smaller, the better: place among the conventions, then exact spelling, then kind."""
    leaf = _leaf(column.name)
    place = rule.names.index(leaf) if leaf in rule.names else len(rule.names)
    exact = column.name.rpartition("/")[2] in rule.names
    return place, not exact, rule.kinds.index(column.kind)


def _reason(rule: _Rule, column: ColumnFacts, others: list[str]) -> str:
    if rule.marks:
        return f"marked {column.metadata['format']}"
    if not others:
        return f"only {column.kind} column" if rule.by_kind else "by name"
    if all("/" in other for other in others) and "/" not in column.name:
        why = "not in a group"
    elif _leaf(column.name) in rule.names:
        why = "conventional name"
    else:
        why = "best type"
    return f"{why}; others: {', '.join(others)}"


def _leaf(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _listing(columns: Mapping[str, ColumnFacts]) -> str:
    return ", ".join(f"{name} ({column.kind})" for name, column in columns.items())


def _nearest(word: str, known: Any, what: str) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}{what}: {', '.join(known)}"
