"""Opening a lake as a view: pinned, its columns given roles, its annotation table read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.lake.images.cells import check_image_column, holds_files
from deeplake_mmdet.lake.images.exif_choice import roles_and_exif
from deeplake_mmdet.lake.schema.boxes import NO_BOXES, BoxFormat
from deeplake_mmdet.lake.schema.classes import classes_of, stored_format
from deeplake_mmdet.lake.schema.columns import describe_columns
from deeplake_mmdet.lake.schema.labels import LabelCoding, label_coding
from deeplake_mmdet.lake.schema.roles import inferred_roles
from deeplake_mmdet.lake.schema.undeclared import table_of_undeclared
from deeplake_mmdet.lake.schema.unused import notes_on, short_tensors
from deeplake_mmdet.lake.source.base_rows import find_base_rows
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.opened import source_of
from deeplake_mmdet.lake.source.pinning import handle_of, renew, resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.table.store import table_of
from deeplake_mmdet.lake.table.table import AnnotationTable
from deeplake_mmdet.lake.views import LakeView, registered

__all__ = ["open_view", "open_view_of"]

_log = logging.getLogger("deeplake_mmdet")


def open_view(
    source: Source | ResolvedSource,
    *,
    credentials: CredentialRef | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Any = None,
    apply_exif: bool | None = None,
    allow_bad_images: bool = False,
) -> LakeView:
    """Open and pin a lake, read its annotation table and register the view in this process.

    Args:
        source: What the user named, or what that was pinned to before.
        credentials: See `CredentialRef`. All views of the same pinned lake use those given last.
        tensors: Role to column name, may be partial; False switches an extra role off. See `assign_roles`.
        box_format: Overrides the lake's own declaration, e.g. ``'ltwh'`` or ``'ccwh_fractional'``;
            ``'legacy'`` is for lakes that declare none, see `table_of_undeclared`.
        classes: Class names to select, in this order; all of the lake's otherwise. Of a lake that does not
            name its classes, the names by stored label; in any form of `read_class_names`.
        apply_exif: Turn images by their EXIF orientation, all or none; sizes, boxes and masks mean the turned
            image then. None for each as the lake recorded it; one without a record turns none.
        allow_bad_images: Give images that cannot be decoded the size 0 x 0, instead of raising.

    Raises:
        DeepLakeMMDetError: Of the kind that fits: see `resolve`, `assign_roles` and `build_table`.
    """
    ref = credentials or CredentialRef()
    if isinstance(source, Source):
        resolved = resolve(source, ref)
    else:
        resolved = source
        if credentials is not None:
            renew(resolved, credentials)
    handle = handle_of(resolved, ref)
    columns = describe_columns(handle)
    roles, apply_exif = roles_and_exif(columns, tensors, apply_exif, str(resolved))
    check_image_column(columns[roles.img])
    boxes = None if roles.gt_bboxes is None else columns[roles.gt_bboxes]
    labels = None if roles.gt_labels is None else columns[roles.gt_labels]
    stored = NO_BOXES if boxes is None else stored_format(boxes, box_format)
    chosen = classes_of(labels, classes, resolved, handle, ref)
    left_out = short_tensors(resolved, roles, tensors, ref) if resolved.format == "v3" else {}
    roles = roles.without(left_out)
    coding = LabelCoding("", 0) if labels is None else label_coding(labels, chosen.lake, chosen.source)
    inferred = inferred_roles(roles, tensors)
    options: dict[str, Any] = {"allow_bad_images": allow_bad_images, "apply_exif": apply_exif}

    if holds_files(columns[roles.img]) and resolved.is_selection:
        options["base_rows"] = lambda: find_base_rows(resolved, ref, roles.img, roles.columns)

    def table_in(boxes: BoxFormat) -> AnnotationTable:
        return table_of(resolved, handle, roles, boxes, coding, inferred=inferred, **options)

    undeclared = ""
    if stored is None and boxes is not None:
        table, undeclared = table_of_undeclared(table_in, boxes)
    else:
        table = table_in(stored or NO_BOXES)
    by_row = table.base_rows is None and holds_files(columns[roles.img])
    if resolved.selects and by_row and resolved.format == "v4" and not resolved.is_local_process:
        _log.info(
            "%s: images are read row by row through Deep Lake's view, as its rows cannot be told by number",
            resolved,
        )
    left_out = {**left_out, **table.left_out}
    roles = roles.without(left_out)
    notes = notes_on(columns, roles, tensors, left_out, chosen)
    if undeclared:
        notes = {**notes, "gt_bboxes": f"{undeclared} {notes.get('gt_bboxes', '')}".strip()}
    view = LakeView(
        *(
            resolved,
            ref,
            columns,
            roles.without(left_out),
            table,
            chosen.lake.names,
            chosen.selected,
            apply_exif,
        ),
        left_out=left_out,
        notes=notes,
        numbers=chosen.lake.numbers,
    )
    return registered(view)


def open_view_of(opened: Any, *, credentials: CredentialRef | None = None, **options: Any) -> LakeView:
    """Open a dataset or a view that Deep Lake has already opened as `open_view` does, pinned as it is now.

    Args:
        opened: ``deeplake.Dataset``, ``ReadOnlyDataset`` or ``DatasetView``.
        credentials: Used in place of those that the object was opened with.
        options: The other arguments of `open_view`.

    Raises:
        DeepLakeMMDetError: As `source_of` and `open_view`.
    """
    resolved, ref = source_of(opened, credentials)
    return open_view(resolved, credentials=ref, **options)
