"""Which column plays which role."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.role_rules import (
    COCO_JSON,
    COCO_REMAINDERS,
    EXIF_TURNED,
    JSON_IDS,
    NUMBERS,
    PER_BOX,
    PREDICTED,
    RULES,
    SIZES,
    STORED_PIXELS,
    TURNED_PIXELS,
    Rule,
    cells_fit,
    group_of,
    is_named,
    leaf,
    looks_alike,
    place_of,
)

__all__ = [
    "COCO_JSON",
    "COCO_REMAINDERS",
    "EXIF_TURNED",
    "JSON_IDS",
    "STORED_PIXELS",
    "TURNED_PIXELS",
    "Roles",
    "assign_roles",
    "explain_roles",
    "image_column",
    "inferred_roles",
    "unused_columns",
]


@dataclass(frozen=True)
class Roles:
    """Column names by role; None where the lake has no such column.

    Boxes and labels are both None of a lake that is opened for its images alone.
    """

    img: str
    gt_bboxes: str | None
    gt_labels: str | None
    gt_masks: str | None = None
    iscrowd: str | None = None
    area: str | None = None
    difficult: str | None = None
    ignore: str | None = None
    img_id: str | None = None
    source_id: str | None = None
    file_name: str | None = None
    width: str | None = None
    height: str | None = None
    exif_turned: str | None = None

    @property
    def columns(self) -> set[str]:
        """Names of all columns that have a role."""
        return set(filter(None, asdict(self).values()))

    def without(self, roles: Iterable[str]) -> Roles:
        """These roles with some set to None.

        Args:
            roles: Names of extra roles.
        """
        return Roles(**{**asdict(self), **dict.fromkeys(roles)})


_MAY_BE = {
    "img": ", of uint8 or uint16 arrays (height, width, channels)",
    "gt_bboxes": ", of arrays (k, 4) for k boxes, and box_format=",
    "gt_labels": ", of arrays (k,) of whole numbers, or of texts",
}
_TRUTH = ("gt_bboxes", "gt_labels")
_REQUIRED = ("img", *_TRUTH)


def assign_roles(
    columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None = None, *, stored_sizes: bool = True
) -> Roles:
    """Give each role a column: the one named in ``given``, else one inferred from the schema.

    Inference looks at types first and then at conventional names. A column inside a group (``pose/boxes``)
    is taken only if no top-level column qualifies, but for those of the group that the boxes stand in, which
    come first. Columns of the group ``pred``, which hold a model's predictions, are never taken. Columns of
    image sizes must be marked as measured on the stored pixels, as this package's imports mark them, or be
    named in ``given``.

    Args:
        columns: Facts by column name.
        given: Role to column name, as ``tensors=`` has it; may be partial. None or an empty string leaves
            a role to inference, False switches an extra role off, as in ``dict(area=False)``; of the two
            sizes either switches off both. ``dict(gt_bboxes=False, gt_labels=False)`` opens a lake for its
            images alone, as if no box were there.
        stored_sizes: Whether the sizes that the lake states are wanted; otherwise only named columns serve
            for them, and images are measured.

    Raises:
        ConfigError: ``given`` names an unknown role, or only one of ``width`` and ``height``, or switches a
            required role off.
        ColumnError: A named column does not exist or has the wrong type; a required role has no candidate
            or several equally good ones.
    """
    return _assign(columns, given, stored_sizes)[0]


def image_column(columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None = None) -> str:
    """The column of the images alone, of lakes whose other roles cannot be assigned.

    Args:
        columns: Facts by column name.
        given: What the user named, see `assign_roles`.

    Raises:
        ColumnError: As `assign_roles`.
    """
    named = (given or {}).get("img")
    return _check_named(columns, "img", named) if named else str(_infer(columns, "img", {})[0])


def explain_roles(
    columns: Mapping[str, ColumnFacts],
    given: Mapping[str, Any] | None = None,
    *,
    stored_sizes: bool = True,
    left_out: Mapping[str, str] | None = None,
) -> str:
    """One line that says which column got which role and why.

    Args:
        columns: Facts by column name.
        given: What the user named, see `assign_roles`.
        stored_sizes: Whether columns of stored sizes serve, see `assign_roles`.
        left_out: Roles whose columns turned out not to serve (see `LakeView`).

    Raises:
        ConfigError, ColumnError: As `assign_roles`.
    """
    roles, reasons = _assign(columns, given, stored_sizes)
    for role in left_out or {}:
        reasons[role] = f"{getattr(roles, role)} does not serve"
    roles = roles.without(left_out or ())
    parts = [f"{role}={getattr(roles, role) or 'none'} ({reason})" for role, reason in reasons.items()]
    return "roles: " + ", ".join(parts)


def inferred_roles(roles: Roles, given: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The extra roles whose columns the user did not name; a fault in these must never stop a run.

    Args:
        roles: Which column plays which role.
        given: What the user named, see `assign_roles`.

    Returns:
        Their names, of those that have a column.
    """
    extra = [field.name for field in fields(Roles) if field.name not in _REQUIRED]
    return tuple(role for role in extra if getattr(roles, role) and not (given or {}).get(role))


def unused_columns(
    columns: Mapping[str, ColumnFacts], roles: Roles, given: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Find columns that look as if they were meant for an extra role, but are not used.

    Args:
        columns: Facts by column name.
        roles: The roles' columns.
        given: What the user named, see `assign_roles`. Roles that are switched off there are left out.

    Returns:
        By role, a sentence on the column that looks like it.
    """
    if roles.gt_labels is None:
        return {}
    found, used = {}, set(asdict(roles).values())
    for role in ("gt_masks", *PER_BOX, "img_id"):
        if getattr(roles, role) or (given or {}).get(role) is False:
            continue
        alike = [name for name in looks_alike(role, _not_predicted(columns)) if name not in used]
        if alike:
            told = [f"{name!r} {_unfit(role, columns[name], columns[roles.gt_labels])}" for name in alike]
            means = RULES[role].means
            found[role] = f"What looks like {means} is not used: column {'; column '.join(told)}"
    return found


def _unfit(role: str, column: ColumnFacts, labels: ColumnFacts) -> str:
    rule = RULES[role]
    if column.kind not in rule.kinds or not cells_fit(rule, column):
        return f"is of type {column.description}"
    if role in PER_BOX and _is_per_image(column, labels):
        return "has one value for each image, not one for each box"
    return f"may serve: tensors=dict({role}={column.name!r})"


def _assign(
    columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None, stored_sizes: bool
) -> tuple[Roles, dict[str, str]]:
    known = [field.name for field in fields(Roles)]
    alone = all((given or {}).get(role) is False for role in _TRUTH)
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
        if role == "source_id" and role not in named and (given or {}).get("img_id") not in (None, ""):
            chosen[role], reason = None, None  # the ids that were asked for are others, or none
        elif alone and role in (*_TRUTH, *PER_BOX, "gt_masks"):
            chosen[role], reason = None, "images alone" if role in _TRUTH else None
        elif (given or {}).get(role) is False:
            chosen[role], reason = _switched_off(role)
        elif role in named:
            chosen[role], reason = _check_named(columns, role, named[role]), "named in tensors"
        elif RULES[role].marks is SIZES and not stored_sizes:
            chosen[role], reason = None, None
        else:
            chosen[role], reason = _infer(_not_predicted(columns), role, chosen)
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


def _not_predicted(columns: Mapping[str, ColumnFacts]) -> dict[str, ColumnFacts]:
    """All columns but those that a run has written back, which nobody may take for truth unasked."""
    return {name: column for name, column in columns.items() if group_of(name) != PREDICTED}


def _switched_off(role: str) -> tuple[None, str]:
    if role in _REQUIRED:
        raise ConfigError(
            f"Role {role!r} cannot be switched off",
            where=f"dataset key 'tensors', role {role!r}",
            advice=f"{', '.join(_REQUIRED)} are required; name a column, or leave the role out; of images "
            "without truth switch off both gt_bboxes and gt_labels",
        )
    return None, "switched off in tensors"


def _check_named(columns: Mapping[str, ColumnFacts], role: str, name: Any) -> str:
    where = f"dataset key 'tensors', role {role!r}"
    if not isinstance(name, str) or name not in columns:
        raise ColumnError(
            f"The lake has no column {name!r}", where=where, advice=_nearest(str(name), columns, "columns")
        )
    rule, column = RULES[role], columns[name]
    kinds = rule.kinds + (NUMBERS if role in ("img", "gt_bboxes", "gt_labels") else ())
    if role == "gt_labels":
        kinds += ("text",)  # never inferred: most columns of text are no labels
    if column.kind in kinds and cells_fit(rule, column):
        return name
    advice = f"name a column of kind {' or '.join(rule.kinds)}"
    if role == "gt_labels" and column.kind == "text":
        advice += ", or of texts that hold one name, or a JSON list of names, for each image"
    if role == "gt_masks" and column.kind == "segmentmask":
        advice += "; a segment mask tells the class of each pixel, not which object it belongs to"
    raise ColumnError(
        f"Column {name!r} is of type {column.description} and cannot serve as {role!r}",
        where=where,
        advice=advice,
    )


def _infer(
    columns: Mapping[str, ColumnFacts], role: str, chosen: Mapping[str, str | None]
) -> tuple[str | None, str | None]:
    """Choose the column for a role, and say why; for an extra role without a column only if several fit."""
    rule = RULES[role]
    found = [name for name, column in columns.items() if _qualifies(rule, column)]
    labels = columns.get(chosen.get("gt_labels") or "")
    if role in PER_BOX and labels is not None:
        found = [name for name in found if not _is_per_image(columns[name], labels)]
    group = group_of(chosen.get("gt_bboxes") or "")
    inside = [name for name in found if group and group_of(name) == group]
    candidates = inside or [name for name in found if "/" not in name] or found
    if not candidates:
        if role not in _REQUIRED:
            return None, None
        raise ColumnError(
            f"The lake has no column for {role!r} (looked for type {' or '.join(rule.kinds)})",
            where=f"columns {_listing(columns)}",
            advice=_suggestion(columns, role),
        )
    scores = {name: _score(role, columns[name]) for name in candidates}
    best = [name for name in candidates if scores[name] == min(scores.values())]
    if len(best) == 1:
        others = [name for name in found if name != best[0]]
        return best[0], _reason(rule, columns[best[0]], others, bool(inside))
    if role not in _REQUIRED:
        return None, f"equally good: {' and '.join(best)}"
    raise ColumnError(
        f"Several columns could serve as {role!r}: {', '.join(map(repr, best))}",
        where=f"columns {_listing(columns)}",
        advice=f"name one: tensors=dict({role}={best[0]!r})",
    )


def _is_per_image(column: ColumnFacts, labels: ColumnFacts) -> bool:
    """Whether a column has single numbers where the labels of an image are several."""
    many = labels.dimensions > 0 or labels.is_sequence
    return many and not column.dimensions and not column.is_sequence


def _suggestion(columns: Mapping[str, ColumnFacts], role: str) -> str:
    """What to name where no column qualifies by itself."""
    rule, fits = RULES[role], NUMBERS if role != "gt_labels" else (*NUMBERS, "text")
    named = [name for name in columns if is_named(rule, name)]
    for name in named:
        if columns[name].kind in fits and cells_fit(rule, columns[name]):
            return (
                f"column {name!r} is of type {columns[name].description}; if it holds {rule.means}, "
                f"name it: tensors=dict({role}={name!r})"
            )
    told = "".join(f"column {name!r} is of type {columns[name].description}; " for name in named)
    return f"{told}name one: tensors=dict({role}='<column>'){_MAY_BE.get(role, '')}"


def _qualifies(rule: Rule, column: ColumnFacts) -> bool:
    if column.kind not in rule.kinds or not cells_fit(rule, column):
        return False
    if rule.marks:
        return is_named(rule, column.name) and column.metadata.get("format") in rule.marks
    if column.kind == "text" and rule.by_kind:  # any other text is no mask
        return column.metadata.get("format") == COCO_JSON or leaf(column.name) == rule.names[0]
    return rule.by_kind or is_named(rule, column.name)


def _score(role: str, column: ColumnFacts) -> tuple[bool, int, bool, int]:
    """The smaller, the better: no other role's name, place among conventions, exact spelling, kind."""
    rule = RULES[role]
    place = place_of(rule, column.name)
    foreign = place == len(rule.names) and any(
        is_named(other, column.name) for name, other in RULES.items() if name != role
    )
    exact = column.name.rpartition("/")[2] in rule.names
    return foreign, place, not exact, rule.kinds.index(column.kind)


def _reason(rule: Rule, column: ColumnFacts, others: list[str], inside: bool) -> str:
    if rule.marks:
        return f"marked {column.metadata['format']}"
    if not others:
        return f"only {column.kind} column" if rule.by_kind else "by name"
    if inside and all(group_of(other) != group_of(column.name) for other in others):
        why = "in the boxes' group"
    elif all("/" in other for other in others) and "/" not in column.name:
        why = "not in a group"
    elif is_named(rule, column.name):
        why = "conventional name"
    else:
        why = "best type"
    return f"{why}; others: {', '.join(others)}"


def _listing(columns: Mapping[str, ColumnFacts]) -> str:
    return ", ".join(
        f"{name} ({'sequences of ' if column.is_sequence else ''}{column.kind})"
        for name, column in columns.items()
    )


def _nearest(word: str, known: Any, what: str) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}{what}: {', '.join(known)}"
