"""Opening a lake that is to be examined: what keeps it from training is told beside what can be read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deeplake_mmdet.errors import (
    AnnotationError,
    BoxFormatError,
    ColumnError,
    ConfigError,
    DeepLakeMMDetError,
    ImageError,
)
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.cells import check_image_column
from deeplake_mmdet.lake.images.exif_choice import roles_and_exif
from deeplake_mmdet.lake.opening import open_view
from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.schema.classes import classes_of, stored_format
from deeplake_mmdet.lake.schema.columns import ColumnFacts, describe_columns
from deeplake_mmdet.lake.schema.labels import LabelCoding, label_coding, read_labels
from deeplake_mmdet.lake.schema.role_rules import RULES, is_named
from deeplake_mmdet.lake.schema.roles import Roles, image_column
from deeplake_mmdet.lake.source.base_rows import find_base_rows
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.table.faults import RowFaults, find_faults
from deeplake_mmdet.lake.table.sizes import read_sizes
from deeplake_mmdet.lake.table.table import AnnotationTable
from deeplake_mmdet.lake.views import LakeView

__all__ = ["ExaminedLake", "open_leniently"]

_ANNOTATIONS = ("gt_bboxes", "gt_labels")
_MOST_CLASSES = 10_000  # that are made up from labels


@dataclass(frozen=True, eq=False)
class ExaminedLake:
    """A lake as far as it can be read.

    Attributes:
        source: What it was pinned to.
        view: Its rows, all of them; those with ``faults`` have no boxes in its table, and no size. None if
            the lake is empty.
        faults: Rows whose annotations cannot be read.
        problem: What keeps the whole lake from being trained on, faulty rows aside; None if nothing does.
        has_annotations: Whether boxes and labels could be read; otherwise the table has none.
        is_annotated: Whether there is any column that is of boxes or labels by its type or its name.
    """

    source: ResolvedSource
    view: LakeView | None
    faults: RowFaults
    problem: DeepLakeMMDetError | None = None
    has_annotations: bool = True
    is_annotated: bool = True


def open_leniently(
    source: Source,
    *,
    credentials: CredentialRef | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Any = None,
    apply_exif: bool | None = None,
) -> ExaminedLake:
    """Open a lake as `open_view` does, and go on where that would end.

    Args:
        source: What the user named.
        credentials, tensors, box_format, classes, apply_exif: See `open_view`.

    Returns:
        The lake. Only where rows are faulty, a few bytes per row are held in memory beside the cached table.

    Raises:
        ConfigError: ``tensors``, ``classes`` or ``box_format`` ask for what there is not.
        ColumnError: There is no column of images.
        DeepLakeMMDetError: The lake cannot be opened.
    """
    ref = credentials or CredentialRef()
    resolved = resolve(source, ref)
    handle = handle_of(resolved, ref)
    if not len(handle):
        return ExaminedLake(resolved, None, RowFaults(0))
    options: dict[str, Any] = {"credentials": ref, "tensors": tensors, "apply_exif": apply_exif}
    options |= {"box_format": box_format, "allow_bad_images": True}
    with contextlib.suppress(AnnotationError, BoxFormatError, ColumnError, ImageError):
        view = open_view(resolved, classes=classes, **options)
        return ExaminedLake(resolved, view, RowFaults(len(handle)))
    columns = describe_columns(handle)
    if box_format:
        BoxFormat.parse(box_format)  # what the user says is no fault of the lake
    try:
        roles, _ = roles_and_exif(columns, tensors, apply_exif, str(resolved))
        check_image_column(columns[roles.img])
        if roles.gt_bboxes is None or roles.gt_labels is None:
            return _images_only(resolved, ref, handle, columns, tensors, None)
        stored_format(columns[roles.gt_bboxes], box_format)
    except (ColumnError, BoxFormatError) as error:
        if isinstance(error, ColumnError) and any((tensors or {}).values()):
            raise
        return _images_only(resolved, ref, handle, columns, tensors, error)
    problem: DeepLakeMMDetError | None = None
    labels = columns[roles.gt_labels]
    try:
        chosen = classes_of(labels, classes, resolved, handle, ref)
        coding = label_coding(labels, chosen.lake, chosen.source)
    except AnnotationError as error:
        names = _made_up(handle, labels)
        if names is None:
            return _images_only(resolved, ref, handle, columns, tensors, error)
        problem, classes, coding = error, names, LabelCoding(labels.name, len(names))
    faults = find_faults(handle, roles, coding)
    sound = np.flatnonzero(~faults.any())
    if not len(sound):
        return _images_only(resolved, ref, handle, columns, tensors, problem, faults)
    rest = resolved if len(sound) == len(handle) else _selected(resolved, sound)
    try:
        view = open_view(rest, classes=classes, **options)
    except ConfigError:
        raise
    except (AnnotationError, ColumnError, ImageError) as error:
        return _images_only(resolved, ref, handle, columns, tensors, error, faults)
    if rest is not resolved:
        table = _spread(view.table, sound, len(handle))
        if view.table.base_rows is not None and resolved.is_selection:
            found = find_base_rows(resolved, ref, view.roles.img, view.roles.columns)
            table = replace(table, base_rows=None if found is None else found[1])
        view = replace(view, source=resolved, table=table)
    return ExaminedLake(resolved, view, faults, problem)


def _selected(resolved: ResolvedSource, rows: Any) -> ResolvedSource:
    if resolved.rows is not None:
        return resolved.with_rows(resolved.rows[rows], resolved.rerun)
    return resolved.with_rows(rows, len(resolved.queries))


def _spread(table: AnnotationTable, rows: Any, count: int) -> AnnotationTable:
    """A table of some rows as one of all; the others have no boxes, and no size. Nothing else is kept."""
    counts, sizes = np.zeros(count, np.int64), np.zeros((2, count), np.int32)
    counts[rows] = np.diff(table.offsets)
    sizes[:, rows] = table.widths, table.heights
    turned = None
    if table.turned is not None:
        turned = np.zeros(count, bool)
        turned[rows] = table.turned
    return replace(
        table,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        widths=sizes[0],
        heights=sizes[1],
        turned=turned,
        img_ids=None,
        source_ids=None,
        source_id_ends=None,
        base_rows=None,
        folder=None,
    )


def _made_up(handle: OpenLake, labels: ColumnFacts) -> tuple[str, ...] | None:
    """Names for the classes of a lake that names none; None if its labels are no small numbers."""
    highest = -1
    try:
        for block in read_labels(handle, LabelCoding(labels.name, _MOST_CLASSES)):
            highest = max(highest, int(block.values.max(initial=-1)))
    except AnnotationError:
        return None
    return tuple(f"label {number}" for number in range(highest + 1)) or None


def _images_only(
    resolved: ResolvedSource,
    ref: CredentialRef,
    handle: OpenLake,
    columns: Mapping[str, ColumnFacts],
    tensors: Mapping[str, Any] | None,
    problem: DeepLakeMMDetError | None,
    faults: RowFaults | None = None,
) -> ExaminedLake:
    column = image_column(columns, tensors)
    check_image_column(columns[column])
    sizes = read_sizes(handle, column, allow_bad=True)
    table = AnnotationTable(
        box_format=BoxFormat("ltwh", "pixel"),
        offsets=np.zeros(len(handle) + 1, np.int64),
        boxes=np.zeros((0, 4)),
        labels=np.zeros(0, np.int32),
        widths=sizes[:, 1],
        heights=sizes[:, 0],
    )
    view = LakeView(resolved, ref, dict(columns), Roles(column, "", ""), table, (), ())
    annotated = any(
        facts.kind in ("boundingbox", "classlabel")
        or any(is_named(RULES[role], name) for role in _ANNOTATIONS)
        for name, facts in columns.items()
    )
    return ExaminedLake(resolved, view, faults or RowFaults(len(handle)), problem, False, annotated)
