"""Class labels of any kind a lake can hold, as indices into its class names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.columns import ColumnFacts
from deeplake_mmdet.lake.table_blocks import Block, read_blocks

__all__ = ["CATEGORY_IDS", "LabelCoding", "category_ids_of", "label_coding", "read_labels", "text_classes"]

CATEGORY_IDS = "category-ids"  # metadata key 'format' of a label column that holds ids instead of indices


@dataclass(frozen=True)
class LabelCoding:
    """How the values of a label column become indices into the class names.

    Attributes:
        column: The label column.
        count: Number of class names, to check labels against; None if unknown.
        names: Class names, if the column holds text; else empty.
        ids: Category ids by index, if the column holds those; else empty.
    """

    column: str
    count: int | None
    names: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()


def category_ids_of(column: ColumnFacts) -> tuple[int, ...] | None:
    """Ids of the classes in their source (COCO's need not be contiguous), by label; None if not recorded."""
    found = column.metadata.get("category_ids")
    return None if found is None else tuple(int(number) for number in found)


def text_classes(handle: Any, column: ColumnFacts) -> tuple[str, ...]:
    """The distinct texts of a text column, sorted: its class names where no others are recorded."""
    names: set[str] = set()
    for block in read_blocks(handle, column.name, text=True):
        names.update(_texts(block, column.name))
    return tuple(sorted(names))


def label_coding(column: ColumnFacts, lake_classes: Sequence[str]) -> LabelCoding:
    """How a label column is to be read, given the lake's class names.

    Raises:
        AnnotationError: The column is said to hold category ids, but not one for each class name.
    """
    count = len(lake_classes)
    if column.kind == "text":
        return LabelCoding(column.name, count, names=tuple(lake_classes))
    if column.metadata.get("format") == CATEGORY_IDS:
        ids = category_ids_of(column) or ()
        if len(set(ids)) != len(ids) or len(ids) != count:
            raise AnnotationError(
                f"The labels are category ids, but {len(set(ids))} distinct ids are recorded for {count} "
                "class names",
                where=f"column {column.name!r}, metadata keys 'category_ids' and 'class_names'",
                advice="record one id for each class name",
            )
        return LabelCoding(column.name, count, ids=ids)
    return LabelCoding(column.name, count)


def read_labels(handle: Any, coding: LabelCoding) -> Iterator[Block]:
    """The labels of all rows in blocks, as int32 indices into the class names.

    Raises:
        AnnotationError: Labels are no whole numbers, or lie outside the class names or category ids.
    """
    for block in read_blocks(handle, coding.column, text=bool(coding.names)):
        if coding.names:
            values = _looked_up(block, list(_texts(block, coding.column)), coding.names, coding.column)
        else:
            values = _whole_numbers(block.values, coding.column)
            if coding.ids:
                values = _looked_up(block, values.tolist(), coding.ids, coding.column)
        _check_range(block, values, coding)
        yield Block(block.start, block.counts, values.astype(np.int32))


def _texts(block: Block, column: str) -> Iterator[str]:
    # Deep Lake gives an empty text as None.
    for index, text in enumerate(block.values):
        if not isinstance(text, str) or not text:
            raise AnnotationError(
                "A label is empty",
                where=f"column {column!r}, row {block.row_of(index)}",
                advice="name the class of each object, or leave the row out with query=",
            )
        yield text


def _whole_numbers(labels: NDArray[Any], column: str) -> NDArray[Any]:
    if labels.dtype.kind in "iub" or not len(labels):
        return labels
    raise AnnotationError(
        f"Labels must be whole numbers, the column holds {labels.dtype}",
        where=f"column {column!r}",
        advice="store the index into class_names, or name another column in tensors=dict(gt_labels=...)",
    )


def _looked_up(block: Block, values: list[Any], known: Sequence[Any], column: str) -> NDArray[np.int64]:
    places = {value: place for place, value in enumerate(known)}
    found = np.array([places.get(value, -1) for value in values], np.int64)
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        what = "class names" if isinstance(known[0], str) else "category ids"
        raise AnnotationError(
            f"Label {values[unknown[0]]!r} is none of the {len(known)} {what} ({len(unknown)} such labels)",
            where=f"column {column!r}, row {block.row_of(int(unknown[0]))}",
            advice=f"correct the labels, or the {what}: {', '.join(map(str, known[:20]))}",
        )
    return found


def _check_range(block: Block, labels: NDArray[Any], coding: LabelCoding) -> None:
    # Labels beyond int32 come from -1 that was stored as uint32.
    count = np.iinfo(np.int32).max if coding.count is None else coding.count
    if not len(labels) or (labels.min() >= 0 and labels.max() < count):
        return
    outside = np.flatnonzero((labels < 0) | (labels >= count))
    raise AnnotationError(
        f"Label {labels[outside[0]]} lies outside the {count} class names ({len(outside)} such labels)",
        where=f"column {coding.column!r}, {block.rows_of(outside)}",
        advice="correct class_names in the column's metadata, or the labels",
    )
