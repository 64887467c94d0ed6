"""What the user chooses of a lake beside columns: box format and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplake_mmdet.errors import AnnotationError, BoxFormatError, ConfigError
from deeplake_mmdet.lake.boxes import BoxFormat
from deeplake_mmdet.lake.columns import ColumnFacts

__all__ = ["lake_classes_of", "selected_classes", "stored_format"]


def stored_format(column: ColumnFacts, given: str | None) -> BoxFormat:
    """The given box format, or the column's own. Raises BoxFormatError if there is neither."""
    if given:
        return BoxFormat.parse(given)
    if column.box_format is None:
        raise BoxFormatError(
            f"Column {column.name!r} does not say how its boxes are stored",
            where=f"column {column.name!r} of type {column}",
            advice="give box_format='ltwh' (left, top, width, height), 'ltrb' (corners) or 'ccwh' (centre, "
            "size), with '_fractional' appended if they are fractions of the image size",
        )
    return column.box_format


def lake_classes_of(names: Any, classes: Sequence[str] | None, column: str) -> tuple[str, ...]:
    """Class names in the lake's order. Raises AnnotationError if none are known or one occurs twice."""
    if names:
        if len(set(names)) != len(names):
            raise AnnotationError(
                "Class names occur twice", where=f"metadata 'class_names' of column {column!r}"
            )
        return tuple(map(str, names))
    if classes:
        return tuple(classes)
    raise AnnotationError(
        "The lake does not name its classes",
        where=f"column {column!r}, metadata key 'class_names'",
        advice="give metainfo=dict(classes=(...)) in the order of the stored labels",
    )


def selected_classes(
    classes: Sequence[str] | None, lake_classes: tuple[str, ...], column: str
) -> tuple[str, ...]:
    """Class names in the model's order. Raises ConfigError for none, unknown ones and repeated ones."""
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
        what = f"the lake has no class {', '.join(map(repr, unknown))}" if unknown else "a class occurs twice"
        raise ConfigError(
            f"metainfo.classes cannot be used: {what}",
            where=f"dataset key 'metainfo', classes={list(classes)}, column {column!r}",
            advice=f"the lake's classes: {', '.join(lake_classes)}",
        )
    return tuple(classes)
