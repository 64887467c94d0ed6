"""Class labels of any kind a lake can hold, as indices into its class names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.schema.class_names import ClassNames
from deeplake_mmdet.lake.schema.columns import CATEGORY_SOURCE_IDS, ColumnFacts
from deeplake_mmdet.lake.table.blocks import Block, read_blocks

__all__ = [
    "CATEGORY_IDS",
    "LabelCoding",
    "category_ids_of",
    "label_coding",
    "labels_in",
    "read_labels",
    "source_category_ids",
    "text_classes",
]

CATEGORY_IDS = "category-ids"  # metadata key 'format' of a label column that holds ids instead of indices


@dataclass(frozen=True)
class LabelCoding:
    """How the values of a label column become indices into the class names.

    Attributes:
        column: The label column.
        count: Number of class names, to check labels against; None if unknown.
        names: Class names, if the column holds text; else empty.
        ids: The stored label of each class by index, if those are not the indices; else empty.
        source: Where the class names come from, for messages.
        ids_are: What the ids are, for messages.
    """

    column: str
    count: int | None
    names: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    source: str = "class_names in the column's metadata"
    ids_are: str = "category ids"


def category_ids_of(column: ColumnFacts, count: int | None = None) -> tuple[int, ...] | None:
    """The ids that classes had in their source, by label; COCO's need not be contiguous.

    Args:
        column: The label column.
        count: How many different ids there must be; None for any number.

    Returns:
        The ids; None if none are recorded, or not as a list of that many whole numbers.
    """
    found = column.metadata.get("category_ids")
    if not isinstance(found, list) or any(isinstance(x, bool) or not isinstance(x, int) for x in found):
        return None
    return tuple(found) if count is None or len(set(found)) == len(found) == count else None


def source_category_ids(column: ColumnFacts, count: int) -> list[Any] | None:
    """The ids that classes had in their source, by label, where they are not all 64-bit integers.

    Args:
        column: The label column.
        count: How many there must be.

    Returns:
        Texts and numbers; None if none are recorded, or not as import writes them.
    """
    try:
        found = json.loads(column.metadata.get(CATEGORY_SOURCE_IDS) or "null")
    except (TypeError, ValueError):
        return None
    return found if isinstance(found, list) and len(found) == count else None


def text_classes(handle: OpenLake, column: ColumnFacts) -> tuple[str, ...]:
    """Collect the distinct texts of a label column: its class names, where no others are recorded.

    Args:
        handle: Open lake.
        column: Facts of a column of texts. A cell is one name, or a JSON list of names.

    Returns:
        The texts, sorted; none if the lists hold numbers.

    Raises:
        AnnotationError: A list holds something else, or names and numbers.
        DeepLakeMMDetError: As `CellReader.get_bytes`.
    """
    names: set[str] = set()
    for block in read_blocks(handle, column.name, text=True):
        found = _listed(block, column.name, np.zeros(len(handle), np.int64))
        if found.values.dtype != object:
            return ()
        names.update(found.values)
    return tuple(sorted(names))


def label_coding(
    column: ColumnFacts, lake_classes: Sequence[str] | ClassNames, source: str = ""
) -> LabelCoding:
    """How a label column is to be read, given the lake's class names.

    Args:
        column: The label column.
        lake_classes: The class names.
        source: Where they come from, for messages.

    Raises:
        AnnotationError: The column is said to hold category ids, but not one for each class name.
    """
    found = lake_classes if isinstance(lake_classes, ClassNames) else ClassNames(tuple(lake_classes))
    count, numbers = len(found.names), found.numbers or ()
    coding = LabelCoding(column.name, count, ids=numbers, ids_are="numbers of the class names")
    if source:
        coding = replace(coding, source=source)
    if column.kind == "text":
        return replace(coding, names=found.names)
    if column.metadata.get("format") == CATEGORY_IDS:
        ids = category_ids_of(column) or numbers
        if numbers and sorted(ids) == list(numbers):
            ids = numbers
        if len(set(ids)) != len(ids) or len(ids) != count:
            raise AnnotationError(
                f"The labels are category ids, but {len(set(ids))} distinct ids are recorded for {count} "
                "class names",
                where=f"column {column.name!r}, metadata keys 'category_ids' and 'class_names'",
                advice="record one id for each class name",
            )
        return replace(coding, ids=ids, ids_are="category ids")
    return coding


def read_labels(
    handle: OpenLake, coding: LabelCoding, box_counts: NDArray[np.int64] | None = None
) -> Iterator[Block]:
    """Read the labels of all rows as indices into the class names.

    Args:
        handle: Open lake.
        coding: What the labels are.
        box_counts: Number of boxes in each row, shape (n,): cells of rows without boxes may then be empty.

    Yields:
        Blocks of consecutive rows, with ``values`` of shape (m,), int32.

    Raises:
        AnnotationError: Labels are no whole numbers, or lie outside the class names or category ids.
    """
    for block in read_blocks(handle, coding.column, text=bool(coding.names)):
        if coding.names:
            block = _listed(block, coding.column, box_counts)
        if coding.names and block.values.dtype == object:
            values = _looked_up(block, block.values.tolist(), coding.names, coding)
        else:
            values = _whole_numbers(block, coding.column)
            if coding.ids:
                values = _looked_up(block, values.tolist(), coding.ids, coding)
        _check_range(block, values, coding)
        yield Block(block.start, block.counts, values.astype(np.int32))


def _listed(block: Block, column: str, box_counts: NDArray[np.int64] | None) -> Block:
    """The labels in cells of text: one each, or a JSON list of names or of whole numbers."""
    found: list[Any] = []
    counts = np.zeros(len(block.counts), np.int64)
    for place, text in enumerate(block.values):
        if not text and box_counts is not None and not box_counts[block.start + place]:
            continue
        labels = labels_in(text)
        if labels is None:
            # Deep Lake gives an empty text as None.
            raise AnnotationError(
                "A label is empty" if not text or not isinstance(text, str) else f"There is {text!r:.60}",
                where=f"column {column!r}, row {block.start + place}",
                advice="name the class of each object, as a text or a JSON list of texts, or leave the row "
                "out with query=",
            )
        counts[place] = len(labels)
        found.extend(labels)
    kinds = {isinstance(label, str) for label in found}
    if len(kinds) > 1:
        raise AnnotationError(
            "Some labels are names and some are numbers",
            where=f"column {column!r}, rows {block.start} to {block.start + len(counts) - 1}",
            advice="write all of them in one way",
        )
    if kinds == {False}:
        return Block(block.start, counts, np.array(found, np.int64))
    values = np.empty(len(found), object)
    values[:] = found
    return Block(block.start, counts, values)


def labels_in(text: Any) -> list[Any] | None:
    """The labels in one cell of text.

    Args:
        text: One name, or a JSON list of names or of whole numbers.

    Returns:
        The labels; None if there are none that can be read.
    """
    if not isinstance(text, str) or not text:
        return None
    if text.lstrip()[:1] != "[":
        return [text]
    try:
        listed = json.loads(text)
    except ValueError:
        return [text]
    plain = all(type(label) is int or (isinstance(label, str) and label) for label in listed)
    return listed if plain else None


def _whole_numbers(block: Block, column: str) -> NDArray[Any]:
    labels = block.values
    if labels.dtype.kind in "iub" or not len(labels):
        return labels
    if labels.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(labels) | (labels != np.floor(labels)))
        if not len(broken):
            return labels.astype(np.int64)
        raise AnnotationError(
            f"Labels must be whole numbers, but there is {labels[broken[0]]} ({len(broken)} such labels)",
            where=f"column {column!r} of {labels.dtype}, {block.rows_of(broken)}",
            advice="store the index into class_names, or name another column in tensors=dict(gt_labels=...)",
        )
    raise AnnotationError(
        f"Labels must be whole numbers, the column holds {labels.dtype}",
        where=f"column {column!r}",
        advice="store the index into class_names, or name another column in tensors=dict(gt_labels=...)",
    )


def _looked_up(
    block: Block, values: list[Any], known: Sequence[Any], coding: LabelCoding
) -> NDArray[np.int64]:
    places = {value: place for place, value in enumerate(known)}
    found = np.array([places.get(value, -1) for value in values], np.int64)
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        what = "class names" if isinstance(known[0], str) else coding.ids_are
        raise AnnotationError(
            f"Label {values[unknown[0]]!r} is none of the {len(known)} {what} ({len(unknown)} such labels)",
            where=f"column {coding.column!r}, row {block.row_of(int(unknown[0]))}",
            advice=f"correct the labels, or the {what} ({coding.source}): {', '.join(map(str, known[:20]))}",
        )
    return found


def _check_range(block: Block, labels: NDArray[Any], coding: LabelCoding) -> None:
    # Labels beyond int32 come from -1 that was stored as uint32.
    count = np.iinfo(np.int32).max if coding.count is None else coding.count
    if not len(labels) or (labels.min() >= 0 and labels.max() < count):
        return
    outside = np.flatnonzero((labels < 0) | (labels >= count))
    highest, lowest = int(labels.max()), int(labels.min())
    counts_from_one = coding.count == highest and lowest == 1
    raise AnnotationError(
        f"Label {labels[outside[0]]} lies outside the {count} class names ({len(outside)} such labels)",
        where=f"column {coding.column!r}, {block.rows_of(outside)}",
        advice=f"correct {coding.source}, or the labels"
        + (
            "; if labels count from 1, write the names as a mapping, {1: ..., 2: ...}"
            if counts_from_one
            else ""
        ),
    )
