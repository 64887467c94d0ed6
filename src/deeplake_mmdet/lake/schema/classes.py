"""What the user chooses of a lake beside columns: box format and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from deeplake_mmdet.errors import AnnotationError, BoxFormatError, ConfigError
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.schema.class_names import ClassNames, class_list, read_class_names
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.labels import CATEGORY_IDS, category_ids_of, text_classes
from deeplake_mmdet.lake.schema.undeclared import LEGACY
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import lake_metadata
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["Classes", "classes_of", "selected_classes", "stored_format"]

_GIVEN = "dataset key 'metainfo', classes"
_GIVEN_ADVICE = "write metainfo=dict(classes=('first', 'second'))"
_ADVICE = (
    "write a list of texts into it, the name of label 0 first, or give metainfo=dict(classes=(...)) in the "
    "order of the stored labels"
)


def stored_format(column: ColumnFacts, given: str | None) -> BoxFormat | None:
    """The box format to read a column by: the given one, else the one that the column declares.

    Args:
        column: Facts of the box column.
        given: What the user gave, such as ``'ltwh'``; None or empty for the column's own. ``'legacy'`` is the
            column's own, too, but allows that there is none.

    Returns:
        The format; None only for ``'legacy'``, if the column declares none.

    Raises:
        BoxFormatError: ``given`` names no format; or nothing is given and the column declares none.
    """
    if given and given != LEGACY:
        return BoxFormat.parse(given)
    if column.box_format is None and given != LEGACY:
        raise BoxFormatError(
            f"Column {column.name!r} does not say how its boxes are stored",
            where=f"column {column.name!r} of type {column}",
            advice="give box_format='ltwh' (left, top, width, height), 'ltrb' (corners) or 'ccwh' (centre, "
            "size), with '_fractional' appended if they are fractions of the image size",
        )
    return column.box_format


@dataclass(frozen=True)
class Classes:
    """The classes of a lake and which of them are wanted.

    Attributes:
        lake: Those of the lake, by stored label.
        selected: The wanted ones, in the order of the model's outputs.
        source: Where the lake's names come from, for messages.
        note: What was not as it should be, for the user; empty if nothing.
    """

    lake: ClassNames
    selected: tuple[str, ...]
    source: str
    note: str = ""


def classes_of(
    column: ColumnFacts | None,
    given: Any,
    resolved: ResolvedSource,
    handle: OpenLake,
    credentials: CredentialRef | None = None,
) -> Classes:
    """Find out what the stored labels mean: by the column's metadata, else the lake's, else what is given.

    Texts that nothing else names are their own names. Names that cannot be read give way to those given, with
    a note.

    Args:
        column: The label column; None of a lake that is opened for its images alone: it has the given names.
        given: ``metainfo['classes']``: of a lake that names its classes a selection in the model's order,
            else the names by stored label, in any form of `read_class_names`. None for all.
        resolved: The pinned lake.
        handle: The same, open.
        credentials: What opens it.

    Raises:
        AnnotationError: No names are known, or what is recorded cannot be read.
        ConfigError: ``given`` cannot be read, or selects no class or one that the lake does not have.
    """
    if column is None:
        names = read_class_names(given, _GIVEN, advice=_GIVEN_ADVICE, error=ConfigError)
        return Classes(names, names.names, "metainfo.classes")
    key = "class_names"
    source, recorded = f"metadata key {key!r} of column {column.name!r}", column.metadata.get(key)
    if _is_empty(recorded):
        source, recorded = f"metadata key {key!r} of the lake", lake_metadata(resolved, key, credentials)
    note = ""
    if not _is_empty(recorded):
        try:
            lake = _by_label(read_class_names(recorded, source, advice=_ADVICE), column)
        except AnnotationError as error:
            if _is_empty(given):
                raise
            note = f"{error} Until then, metainfo.classes is taken for the names by label."
        else:
            return Classes(lake, _selected(given, lake, column.name), source)
    if column.kind == "text" and not note and (texts := text_classes(handle, column)):
        lake, absent = _with_absent(texts, given)
        selected = _selected(given, lake, column.name)
        return Classes(lake, selected, f"the texts of column {column.name!r}", absent)
    if _is_empty(given):
        raise AnnotationError(
            "The lake does not name its classes",
            where=f"column {column.name!r}, metadata key 'class_names'",
            advice="give metainfo=dict(classes=(...)) in the order of the stored labels",
        )
    lake = read_class_names(given, _GIVEN, advice=_GIVEN_ADVICE, error=ConfigError)
    return Classes(lake, lake.names, "metainfo.classes", note)


def _with_absent(texts: tuple[str, ...], given: Any) -> tuple[ClassNames, str]:
    """The names that occur, then those that were given and do not, if some do; and a note on these.

    Texts tell only which classes occur, and a rare one may be missing in a lake of a few images.
    """
    if _is_empty(given):
        return ClassNames(texts), ""
    names = class_list(given, _GIVEN, advice=_GIVEN_ADVICE, error=ConfigError)
    absent = tuple(name for name in names if name not in texts)
    if not absent or len(absent) == len(names):
        return ClassNames(texts), ""
    listed = ", ".join(map(repr, absent))
    return ClassNames((*texts, *absent)), f"No object of the lake is of class {listed}, which metainfo names"


def _is_empty(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and not isinstance(value, str) and not len(value))


def _by_label(found: ClassNames, column: ColumnFacts) -> ClassNames:
    """Class names by label. Numbers that are also recorded as the source's category ids are no labels: the
    places of the ids are.
    """
    ids = category_ids_of(column)
    if found.numbers is None or ids is None or column.metadata.get("format") == CATEGORY_IDS:
        return found
    if sorted(ids) != list(found.numbers):
        return found
    names = dict(zip(found.numbers, found.names, strict=True))
    return ClassNames(tuple(names[number] for number in ids))


def _selected(given: Any, lake: ClassNames, column: str) -> tuple[str, ...]:
    if given is None:
        return lake.names
    if _is_empty(given):
        return selected_classes((), lake.names, column)
    names = class_list(given, _GIVEN, advice=_GIVEN_ADVICE, error=ConfigError)
    return selected_classes(names, lake.names, column)


def selected_classes(
    classes: Sequence[str] | None, lake_classes: tuple[str, ...], column: str
) -> tuple[str, ...]:
    """Check the classes that the user wants against those of the lake.

    Args:
        classes: The wanted names, in the order of the model's outputs; None for all.
        lake_classes: The lake's names, by label.
        column: Name of the label column, for messages.

    Returns:
        The wanted names, in the given order.

    Raises:
        ConfigError: No class is wanted, one is unknown, or one is named twice.
    """
    if classes is None:
        return lake_classes
    if not classes:
        raise ConfigError(
            "metainfo.classes selects no class",
            where="dataset key 'metainfo'",
            advice=f"name some of the lake's, or leave it out: {', '.join(lake_classes)}",
        )
    unknown = [name for name in classes if name not in lake_classes]
    if unknown or len(set(classes)) != len(classes):
        hints = [repr(name) + _perhaps(name, lake_classes) for name in unknown]
        what = f"the lake has no class {', '.join(hints)}" if unknown else "a class occurs twice"
        raise ConfigError(
            f"metainfo.classes cannot be used: {what}",
            where=f"dataset key 'metainfo', classes={list(classes)}, column {column!r}",
            advice=f"the lake's classes: {', '.join(lake_classes)}",
        )
    return tuple(classes)


def _perhaps(name: str, known: Sequence[str]) -> str:
    folded = {other.casefold(): other for other in known}
    near = get_close_matches(name.strip().casefold(), folded, n=1)
    return f" (perhaps {folded[near[0]]!r} is meant)" if near else ""
