"""Which column plays which role."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake.columns import ColumnFacts

__all__ = ["Roles", "assign_roles"]


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


@dataclass(frozen=True)
class _Rule:
    kinds: tuple[str, ...]
    names: tuple[str, ...]  # conventions, best first
    by_kind: bool = False  # whether any column of the kind qualifies, whatever its name


_NUMBERS = ("generic",)
_RULES = {
    "img": _Rule(("image",), ("images", "image", "img"), by_kind=True),
    "gt_bboxes": _Rule(("boundingbox",), ("boxes", "bboxes", "bbox", "gt_bboxes"), by_kind=True),
    "gt_labels": _Rule(
        ("classlabel",), ("categories", "labels", "label", "classes", "gt_labels"), by_kind=True
    ),
    "gt_masks": _Rule(("text",), ("segmentations",)),
    "iscrowd": _Rule(_NUMBERS, ("iscrowds", "iscrowd")),
    "area": _Rule(_NUMBERS, ("areas", "area")),
    "difficult": _Rule(_NUMBERS, ("difficults", "difficult")),
    "ignore": _Rule(_NUMBERS, ("ignores", "ignore")),
    "img_id": _Rule(_NUMBERS, ("image_id", "img_id", "image_ids", "img_ids")),
    "file_name": _Rule(("text",), ("file_name", "file_names", "filename")),
    "width": _Rule(_NUMBERS, ("width", "widths")),
    "height": _Rule(_NUMBERS, ("height", "heights")),
}
_REQUIRED = ("img", "gt_bboxes", "gt_labels")


def assign_roles(columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None = None) -> Roles:
    """Give each role a column: the one named in ``given``, else one inferred from the schema.

    Inference looks at types first and then at conventional names. A column inside a group (``pose/boxes``)
    is taken only if no top-level column qualifies.

    Args:
        columns: Facts by column name.
        given: Role to column name, as ``tensors=`` has it; may be partial. None or an empty string leaves
            a role to inference.

    Raises:
        ConfigError: ``given`` names an unknown role.
        ColumnError: A named column does not exist or has the wrong type; a required role has no candidate
            or several equally good ones.
    """
    known = [field.name for field in fields(Roles)]
    chosen: dict[str, str | None] = {}
    for role, name in (given or {}).items():
        if role not in known:
            raise ConfigError(
                f"Unknown role {role!r}",
                where="dataset key 'tensors'",
                advice=_nearest(role, known, "roles"),
            )
        if name:
            chosen[role] = _check_named(columns, role, name)
    for role in known:
        if role not in chosen:
            chosen[role] = _infer(columns, role)
    return Roles(**chosen)  # type: ignore[arg-type]


def _check_named(columns: Mapping[str, ColumnFacts], role: str, name: Any) -> str:
    where = f"dataset key 'tensors', role {role!r}"
    if not isinstance(name, str) or name not in columns:
        raise ColumnError(
            f"The lake has no column {name!r}", where=where, advice=_nearest(str(name), columns, "columns")
        )
    rule, column = _RULES[role], columns[name]
    if column.kind not in rule.kinds and not (
        role in ("gt_bboxes", "gt_labels") and column.kind == "generic"
    ):
        raise ColumnError(
            f"Column {name!r} is of type {column} and cannot serve as {role!r}",
            where=where,
            advice=f"name a column of kind {' or '.join(rule.kinds)}",
        )
    return name


def _infer(columns: Mapping[str, ColumnFacts], role: str) -> str | None:
    rule = _RULES[role]
    candidates = [
        name
        for name, column in columns.items()
        if column.kind in rule.kinds and (rule.by_kind or _leaf(name) in rule.names)
    ]
    candidates = [name for name in candidates if "/" not in name] or candidates
    if not candidates:
        if role not in _REQUIRED:
            return None
        raise ColumnError(
            f"The lake has no column for {role!r} (looked for type {' or '.join(rule.kinds)})",
            where=f"columns {_listing(columns)}",
            advice=f"name one: tensors=dict({role}='<column>')",
        )
    ranks = {name: _rank(name, rule.names) for name in candidates}
    best = [name for name in candidates if ranks[name] == min(ranks.values())]
    if len(best) == 1:
        return best[0]
    if role not in _REQUIRED:
        return None
    raise ColumnError(
        f"Several columns could serve as {role!r}: {', '.join(map(repr, best))}",
        where=f"columns {_listing(columns)}",
        advice=f"name one: tensors=dict({role}={best[0]!r})",
    )


def _leaf(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _rank(name: str, names: tuple[str, ...]) -> int:
    leaf = _leaf(name)
    return names.index(leaf) if leaf in names else len(names)


def _listing(columns: Mapping[str, ColumnFacts]) -> str:
    return ", ".join(f"{name} ({column.kind})" for name, column in columns.items())


def _nearest(word: str, known: Any, what: str) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}{what}: {', '.join(known)}"
