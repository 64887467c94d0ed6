"""Reading of an annotation table out of a lake, block by block and column by column."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.cells import Turning
from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.schema.labels import LabelCoding, read_labels
from deeplake_mmdet.lake.schema.roles import Roles
from deeplake_mmdet.lake.source.row_order import FrozenLake
from deeplake_mmdet.lake.table.blocks import Block, read_blocks, rows_for_people
from deeplake_mmdet.lake.table.sizes import read_sizes
from deeplake_mmdet.lake.table.table import AnnotationTable

__all__ = ["ArraySink", "BaseRows", "MemorySink", "build_table", "fill_table"]

BaseRows = Callable[[], tuple[OpenLake, NDArray[np.int64]] | None]
"""Gives the whole lake of a view and the view's rows in it, shape (n,); None if these cannot be told."""
_LEAST_SHARE = 1 / 4  # of a lake's rows, from which on a view's columns are cut out of the lake's

# Role, array, element type.
_PER_BOX = (
    ("area", "areas", "f8"),
    ("iscrowd", "iscrowd", "?"),
    ("difficult", "difficult", "?"),
    ("ignore", "ignore", "?"),
)


class ArraySink(Protocol):
    """Where a table's arrays go, block by block."""

    def append(self, name: str, block: NDArray[Any]) -> None:
        """Add a block to the end of an array, which the first block begins.

        Args:
            name: Name of the array.
            block: Shape (rows,) or (rows, width); all blocks of an array share element type and width.
        """

    def drop(self, name: str, role: str, why: str) -> None:
        """Give up the array of an extra role that does not fit, with the blocks that were added to it.

        Args:
            name: Name of the array.
            role: The role.
            why: What does not fit, for messages.
        """


class MemorySink:
    """Arrays in this process's memory."""

    def __init__(self) -> None:
        self.left_out: dict[str, str] = {}
        self._blocks: dict[str, list[NDArray[Any]]] = {}

    def append(self, name: str, block: NDArray[Any]) -> None:
        """See `ArraySink.append`; the block is copied."""
        self._blocks.setdefault(name, []).append(np.array(block))

    def drop(self, name: str, role: str, why: str) -> None:
        """See `ArraySink.drop`; the reason is remembered in ``left_out``."""
        self.left_out[role] = why
        self._blocks.pop(name, None)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all arrays by name; the sink is empty afterwards, as blocks are dropped to save memory."""
        return {name: np.concatenate(self._blocks.pop(name)) for name in list(self._blocks)}


def build_table(
    handle: OpenLake,
    roles: Roles,
    box_format: BoxFormat,
    class_count: int | None,
    *,
    coding: LabelCoding | None = None,
    inferred: Collection[str] = (),
    allow_bad_images: bool = False,
    apply_exif: bool | None = False,
    base_rows: BaseRows | None = None,
) -> AnnotationTable:
    """Read the annotation columns of an open lake into memory.

    Args:
        handle: Open lake.
        roles: Column names.
        box_format: How the lake stores boxes.
        class_count: Number of class names, to check labels against; None if unknown.
        coding: What the labels are; indices into the class names if not given.
        inferred: Extra roles whose columns nobody named: one that does not fit is left out, not refused.
        allow_bad_images: Give images that cannot be decoded the size 0 x 0, instead of raising.
        apply_exif: Give sizes of images as turned by their EXIF orientation; None for each as the lake
            recorded it, if it did.
        base_rows: Where ``handle`` is a view, finds its rows in the whole lake; the table then has them.

    Raises:
        AnnotationError: The lake is empty; a row's boxes are not (k, 4) finite numbers; boxes, labels or
            flags differ in number; a label lies outside the class names.
        ImageError: An image cannot be decoded, as far as ``SHAPE()`` shows it.
    """
    sink = MemorySink()
    coding = coding or LabelCoding(roles.gt_labels or "", class_count)
    fill_table(
        sink,
        handle,
        roles,
        coding,
        inferred=inferred,
        allow_bad_images=allow_bad_images,
        apply_exif=apply_exif,
        base_rows=base_rows,
    )
    arrays: dict[str, Any] = sink.arrays()
    return AnnotationTable(box_format=box_format, left_out=sink.left_out, **arrays)


def fill_table(
    sink: ArraySink,
    handle: OpenLake,
    roles: Roles,
    coding: LabelCoding,
    *,
    inferred: Collection[str] = (),
    allow_bad_images: bool = False,
    apply_exif: bool | None = False,
    base_rows: BaseRows | None = None,
) -> None:
    """Read the annotation columns of an open lake into a sink; the arrays are those of `AnnotationTable`.

    Memory does not grow with the lake but for a few numbers per row.

    Args:
        sink: Where the arrays go.
        handle: Open lake.
        roles: Column names.
        coding: What the labels are.
        inferred, allow_bad_images, apply_exif, base_rows: See `build_table`.

    Raises:
        AnnotationError, ImageError: For the reasons that `build_table` lists.
    """
    count = len(handle)
    if count == 0:
        raise AnnotationError(
            "There are no rows",
            where=getattr(handle, "where", "the pinned version"),
            advice="import data first (and merge its shards: deeplake-mmdet merge LAKE), or choose another "
            "version, view or query",
        )
    if base_rows is not None and (found := base_rows()) is not None:
        whole, rows = found
        sink.append("base_rows", rows)
        if len(rows) >= _LEAST_SHARE * len(whole):
            handle = FrozenLake(whole, rows)
    if roles.gt_bboxes is None or roles.gt_labels is None:
        box_counts: NDArray[np.int64] = np.zeros(count, np.int64)
        for name, empty in (("boxes", np.zeros((0, 4))), ("labels", np.zeros(0, np.int32))):
            sink.append(name, empty)
    else:
        box_counts = _boxes(sink, handle, roles.gt_bboxes)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(box_counts, out=offsets[1:])
    sink.append("offsets", offsets)
    if roles.gt_bboxes is not None and roles.gt_labels is not None:
        counts = np.zeros(count, np.int64)
        for block in read_labels(handle, coding, box_counts):
            counts[block.start : block.start + len(block.counts)] = block.counts
            sink.append("labels", block.values)
        _check_counts(box_counts, counts, roles.gt_bboxes, roles.gt_labels)
    _extras(sink, handle, roles, box_counts, inferred)
    if roles.source_id:
        _source_ids(sink, handle, roles.source_id)
    turning: Turning = bool(apply_exif)
    if apply_exif is None and roles.exif_turned:
        turning = _turned(handle, roles.exif_turned)
        sink.append("turned", turning)
    _sizes(sink, handle, roles, allow_bad_images, turning)


def _turned(handle: OpenLake, column: str) -> NDArray[np.bool_]:
    return np.concatenate([_one_each(block, column) != 0 for block in read_blocks(handle, column)])


def _extras(
    sink: ArraySink, handle: OpenLake, roles: Roles, box_counts: NDArray[np.int64], inferred: Collection[str]
) -> None:
    for role, name, kind in (*_PER_BOX, ("img_id", "img_ids", "i8")):
        column = getattr(roles, role)
        if column is None:
            continue
        expected = box_counts if role != "img_id" else np.ones_like(box_counts)
        try:
            for values in _extra(handle, role, column, roles.gt_bboxes or "", expected):
                sink.append(name, values.astype(kind))
        except AnnotationError as error:
            if role not in inferred:
                raise
            sink.drop(name, role, f"{error.what} ({error.where})")


def _extra(
    handle: OpenLake, role: str, column: str, boxes: str, expected: NDArray[np.int64]
) -> Iterator[NDArray[Any]]:
    """The values of an extra role, block by block, each block checked."""
    wrong: list[NDArray[np.int64]] = []
    first = (0, 0, 0)
    for block in read_blocks(handle, column):
        due = expected[block.start : block.start + len(block.counts)]
        if role == "img_id":
            _one_each(block, column)
        elif len(differing := np.flatnonzero(due != block.counts)):
            if not wrong:
                row = int(differing[0])
                first = row + block.start, int(due[row]), int(block.counts[row])
            wrong.append(differing + block.start)
        _check_values(block, role, column)
        yield block.values
    if wrong:
        raise _counts_differ(*first, np.concatenate(wrong), boxes, column)


def _source_ids(sink: ArraySink, handle: OpenLake, column: str) -> None:
    end = 0
    for block in read_blocks(handle, column, text=True):
        # Deep Lake gives an empty text as None; in a column of another make, texts need not be JSON.
        texts = [_as_json(text or "null").encode() for text in block.values]
        ends = end + np.cumsum([len(text) for text in texts], dtype=np.int64)
        end = int(ends[-1]) if len(ends) else end
        sink.append("source_ids", np.frombuffer(b"".join(texts), np.uint8))
        sink.append("source_id_ends", ends)


def _as_json(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return text


def _check_values(block: Block, role: str, column: str) -> None:
    values = block.values
    if not len(values):
        return
    if values.dtype.kind not in "iubf":
        raise AnnotationError(
            f"There must be numbers, the column holds {values.dtype}",
            where=f"column {column!r} for {role!r}",
            advice=f"name another column, or leave it out: tensors=dict({role}=False)",
        )
    if role == "area":
        bad, need = ~np.isfinite(values), "finite numbers"
    elif role == "img_id":
        whole = (
            np.isfinite(values) & (values == np.floor(values))
            if values.dtype.kind == "f"
            else values == values
        )
        bad, need = ~(whole & (values >= -(2**63)) & (values < 2**63)), "whole numbers of 64 bits"
    else:
        bad, need = (values != 0) & (values != 1), "0 or 1"
    if bad.any():
        found = np.flatnonzero(bad)
        raise AnnotationError(
            f"There must be {need}, but there is {values[found[0]]} ({len(found)} such values)",
            where=f"column {column!r} for {role!r}, {block.rows_of(found)}",
            advice=f"repair these rows, or leave the column out: tensors=dict({role}=False)",
        )


def _boxes(sink: ArraySink, handle: OpenLake, column: str) -> NDArray[np.int64]:
    counts = np.zeros(len(handle), np.int64)
    for block in read_blocks(handle, column, width=4):
        if block.values.dtype.kind not in "iubf":
            raise AnnotationError(
                f"Boxes must be numbers, the column holds {block.values.dtype}",
                where=f"column {column!r}",
                advice="name another column: tensors=dict(gt_bboxes='<column>')",
            )
        values = block.values.astype(np.float64, copy=False)
        if not np.isfinite(values).all():
            infinite = np.flatnonzero(~np.isfinite(values).all(axis=1))
            raise AnnotationError(
                f"{len(infinite)} boxes are not finite numbers",
                where=f"column {column!r}, {block.rows_of(infinite)}",
                advice="repair these rows, or leave them out with query=",
            )
        counts[block.start : block.start + len(block.counts)] = block.counts
        sink.append("boxes", values)
    return counts


def _sizes(sink: ArraySink, handle: OpenLake, roles: Roles, allow_bad: bool, turning: Turning) -> None:
    if not (roles.width and roles.height):
        sizes = read_sizes(handle, roles.img, allow_bad=allow_bad, displayed=turning)
        sink.append("heights", sizes[:, 0])
        sink.append("widths", sizes[:, 1])
        return
    for name, column in (("widths", roles.width), ("heights", roles.height)):
        for block in read_blocks(handle, column):
            values = _one_each(block, column)
            if values.dtype.kind not in "iuf":
                raise AnnotationError(
                    f"Image sizes must be numbers, the column holds {values.dtype}",
                    where=f"column {column!r}",
                )
            wrong = np.flatnonzero(~((values > 0) & (values < 2**31)) | (values != np.floor(values)))
            if len(wrong):
                raise AnnotationError(
                    f"{len(wrong)} rows give no positive image size",
                    where=f"columns {roles.width!r} and {roles.height!r}, {block.rows_of(wrong)}",
                    advice="repair these rows",
                )
            sink.append(name, values.astype(np.int32))


def _one_each(block: Block, column: str) -> NDArray[Any]:
    wrong = np.flatnonzero(block.counts != 1)
    if len(wrong):
        raise AnnotationError(
            f"Row {block.start + wrong[0]} has {block.counts[wrong[0]]} values where one is expected"
            f" ({len(wrong)} such rows)",
            where=f"column {column!r}, {rows_for_people(wrong + block.start)}",
            advice="fill these rows, or leave them out with query=",
        )
    return block.values


def _check_counts(expected: NDArray[np.int64], found: NDArray[np.int64], boxes: str, other: str) -> None:
    wrong = np.flatnonzero(expected != found)
    if len(wrong):
        row = int(wrong[0])
        raise _counts_differ(row, int(expected[row]), int(found[row]), wrong, boxes, other)


def _counts_differ(
    row: int, due: int, found: int, wrong: NDArray[np.int64], boxes: str, other: str
) -> AnnotationError:
    return AnnotationError(
        f"Row {row} has {due} boxes but {found} values in {other!r} ({len(wrong)} such rows)",
        where=f"columns {boxes!r} and {other!r}, {rows_for_people(wrong)}",
        advice="repair these rows, or leave them out with query=",
    )
