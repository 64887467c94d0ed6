"""Facts and faults of a lake's boxes and labels, out of its annotation table, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.kinds import BOX_FAULTS
from deeplake_mmdet.lake import AnnotationTable, box_faults, reach_beyond
from deeplake_mmdet.lake.table.table import BoxBlock

__all__ = [
    "COCO_LARGE",
    "COCO_SMALL",
    "SIZE_EDGES",
    "AnnotationFacts",
    "RowCollector",
    "class_table",
    "counted",
    "faults_of",
    "read_annotations",
]

SIZE_EDGES = np.concatenate([[0.0], 2.0 ** (np.arange(0, 27) / 2)])  # pixels: two bins for each doubling
COCO_SMALL, COCO_LARGE = 32, 96  # pixels, the square roots of COCO's areas
_FACTORS = (
    0x9E3779B97F4A7C15,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0xD6E8FEB86659FD93,
    0xA0761D6478BD642F,
)


class RowCollector:
    """Counts things by kind, and collects the rows in which they are.

    Attributes:
        counts: How many there are, by kind.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._rows: dict[str, list[NDArray[np.int64]]] = {}

    def add(self, kind: str, rows: NDArray[np.integer[Any]]) -> None:
        """Count things.

        Args:
            kind: Their kind.
            rows: The row of each, shape (k,); rows may repeat.
        """
        if len(rows):
            self.counts[kind] = self.counts.get(kind, 0) + len(rows)
            self._rows.setdefault(kind, []).append(np.unique(rows).astype(np.int64))

    def rows(self, kind: str) -> NDArray[np.int64]:
        """The rows with things of a kind, ascending, shape (k,).

        Args:
            kind: The kind.
        """
        found = self._rows.get(kind)
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


class AnnotationFacts:
    """What `read_annotations` finds.

    Attributes:
        class_boxes: Boxes of each class of the lake, shape (c,), int64.
        class_images: Images with a box of each class, shape (c,), int64.
        size_counts: Boxes by the square root of their area, between `SIZE_EDGES`, shape (s,), int64.
        coco_sizes: Number of small, medium and large boxes by COCO's bounds.
        faults: Boxes by kind of finding, with their rows.
        signatures: For each row a number that is the same for the same boxes with the same labels in any
            order, shape (n,), uint64; 0 without boxes.
    """

    def __init__(self, rows: int, classes: int) -> None:
        self.class_boxes = np.zeros(classes, np.int64)
        self.class_images = np.zeros(classes, np.int64)
        self.size_counts = np.zeros(len(SIZE_EDGES) - 1, np.int64)
        self.coco_sizes = (0, 0, 0)
        self.faults = RowCollector()
        self.signatures = np.zeros(rows, np.uint64)


def read_annotations(table: AnnotationTable, classes: int) -> AnnotationFacts:
    """Look at all boxes of a table.

    Args:
        table: The annotation table. Boxes of images without a size are counted by class only.
        classes: Number of classes of the lake.

    Returns:
        The facts; eight bytes are held for each row.
    """
    facts = AnnotationFacts(len(table), classes)
    coco = np.zeros(3, np.int64)
    for block in table.blocks():
        # Of boxes of any size at all.
        with np.errstate(over="ignore", invalid="ignore"):
            _add_block(facts, table, block, classes, coco)
    facts.coco_sizes = (int(coco[0]), int(coco[1]), int(coco[2]))
    return facts


def _add_block(
    facts: AnnotationFacts, table: AnnotationTable, block: BoxBlock, classes: int, coco: NDArray[np.int64]
) -> None:
    labels = np.asarray(table.labels[block.boxes])
    facts.class_boxes += np.bincount(labels, minlength=classes)
    pairs = np.unique(block.rows * np.int64(max(classes, 1)) + labels)
    facts.class_images += np.bincount(pairs % max(classes, 1), minlength=classes)[:classes]
    _add_signatures(facts.signatures, block.rows, block.xywh, labels)
    known = (table.widths[block.rows] > 0) & (table.heights[block.rows] > 0)
    for kind, hit in faults_of(table, block).items():
        facts.faults.add(kind, block.rows[hit])
    width, height = block.xywh[known, 2:].clip(min=0).T
    size = np.sqrt(width * height)
    facts.size_counts += np.histogram(np.minimum(size, SIZE_EDGES[-1]), SIZE_EDGES)[0]
    coco += np.bincount(np.digitize(size, (COCO_SMALL, COCO_LARGE)), minlength=3)


def faults_of(table: AnnotationTable, block: BoxBlock) -> dict[str, NDArray[np.bool_]]:
    """Faults of boxes, by kind of finding.

    Args:
        table: The annotation table.
        block: Some of its boxes.

    Returns:
        By kind whether each box of the block has the fault, shape (k,). Where a box lies is judged only in
        images of a known size.
    """
    known = (table.widths[block.rows] > 0) & (table.heights[block.rows] > 0)
    width, height = block.xywh[:, 2], block.xywh[:, 3]
    empty = (width <= 0) | (height <= 0)
    reasons = box_faults(table, block)
    located: dict[str, NDArray[np.bool_]] = {kind: reasons[why] for why, kind in BOX_FAULTS.items()}
    located["box-degenerate"] = empty
    located["box-tiny"] = ~empty & ((width < 1) | (height < 1))
    located["box-beyond"] = reach_beyond(table, block) & ~empty & ~located["box-outside"]
    found = _repeats(block.rows, block.xywh, np.asarray(table.labels[block.boxes]))
    for kind, hit in located.items():
        found[kind] = hit & known
    return found


def _add_signatures(
    signatures: NDArray[np.uint64], rows: NDArray[np.int64], xywh: NDArray[np.float64], labels: NDArray[Any]
) -> None:
    if not len(rows):
        return
    mixed = (labels.astype(np.uint64) + np.uint64(1)) * np.uint64(_FACTORS[4])
    for column, factor in zip(xywh.T, _FACTORS, strict=False):
        # Adding zero makes one of -0.0 and 0.0.
        mixed = (mixed ^ (column + 0.0).view(np.uint64)) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
    first = rows[0]
    np.add.at(signatures[first : rows[-1] + 1], rows - first, mixed)


def _repeats(
    rows: NDArray[np.int64], xywh: NDArray[np.float64], labels: NDArray[Any]
) -> dict[str, NDArray[np.bool_]]:
    """Which boxes are where another one of the same row is, by whether the class is the same."""
    order = np.lexsort((labels, *xywh.T[::-1], rows))
    before, after = order[:-1], order[1:]
    same = (rows[before] == rows[after]) & (xywh[before] == xywh[after]).all(axis=1)
    equal = labels[before] == labels[after]
    kinds = ("box-duplicate", "box-two-classes")
    found: dict[str, NDArray[np.bool_]] = {kind: np.zeros(len(rows), bool) for kind in kinds}
    found["box-duplicate"][after[same & equal]] = True
    found["box-two-classes"][after[same & ~equal]] = True
    return found


def class_table(names: tuple[str, ...], facts: AnnotationFacts) -> tuple[tuple[str, int, int], ...]:
    """Name, boxes and images of each class.

    Args:
        names: Of the lake's classes.
        facts: What was counted.
    """
    counts = zip(facts.class_boxes.tolist(), facts.class_images.tolist(), strict=True)
    return tuple((name, boxes, images) for name, (boxes, images) in zip(names, counts, strict=True))


def counted(found: Mapping[str, int], most: int = 20) -> tuple[str, ...]:
    """Counts in words, the largest first.

    Args:
        found: Number by what it is of.
        most: How many are told.
    """
    order = sorted(found, key=lambda name: -found[name])
    more = (f"and {len(order) - most} more",) if len(order) > most else ()
    return (*(f"{found[name]} of {name!r}" for name in order[:most]), *more)
