"""Which boxes of a lake take part in training, and whether so many fall away that something must be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.schema.boxes import MODES, UNITS, BoxFormat, to_xywh

if TYPE_CHECKING:
    from deeplake_mmdet.lake.table.table import AnnotationTable, BoxBlock
    from deeplake_mmdet.lake.views import LakeView

__all__ = [
    "AREA",
    "FLAGGED",
    "OUTSIDE",
    "TINY",
    "Cleaning",
    "box_faults",
    "clean_boxes",
    "filter_images",
    "reach_beyond",
]

AREA = "of area 0 or less by the area column"
TINY = "smaller than a pixel"
OUTSIDE = "outside the image"
FLAGGED = "flagged ignore"
_MANY = 0.1  # of all boxes that count
_NEARLY_ALL = 0.95
_ENOUGH = 5  # boxes; that fewer fall away may be chance, and nobody trains on them
_TRIED = 100_000  # boxes on which other formats are tried
_SLACK = 1.0  # pixels that a box may reach beyond its image: people round


@dataclass(frozen=True, eq=False)
class Cleaning:
    """Boxes that take part, as ``CocoDataset.parse_data_info`` chooses them.

    Attributes:
        view: The lake.
        keep: Which boxes of the table take part, shape (m,), bool.
        ignored: Which boxes are to be ignored in training (crowds, difficult ones), shape (m,), bool.
        unreadable: Number of boxes of images that cannot be decoded.
        others: Number of other boxes of classes that are not selected.
        selected: Number of all other boxes, those that count.
        usable: Number of those that take part and are not ignored.
        left_out: How many of them do not take part, by the first reason that holds.
        beyond: How many of them reach beyond their image.
    """

    view: LakeView
    keep: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    unreadable: int
    others: int
    selected: int
    usable: int
    left_out: dict[str, int] = field(default_factory=dict)
    beyond: int = 0

    def __str__(self) -> str:
        """In one line: images, boxes, and what was left out."""
        kept = int(self.keep.sum())
        reasons = {
            "of images that cannot be decoded": self.unreadable,
            **self.left_out,
            "of other classes": self.others,
        }
        counts = [f"{count} {reason}" for reason, count in reasons.items() if count]
        return (
            f"{int((self.view.table.widths > 0).sum())} images, {kept} of {len(self.keep)} boxes, "
            f"{kept - self.usable} of them ignored in training"
        ) + (f"; left out: {', '.join(counts)}" if counts else "")

    def doubt(self) -> AnnotationError | None:
        """What looks wrong with the boxes, with advice; None if nothing does.

        More than a tenth of the boxes of selected classes fall away, or reach beyond their images while
        another box format would fit them all; or none is left, or none is there.
        """
        lost = sum(self.left_out.values())
        many = lost > _MANY * self.selected or self.beyond > _MANY * self.selected
        if not self.selected + self.others or (self.selected and self.usable and not many):
            return None
        where = f"lake {self.view.source.url}, columns {self._columns()}"
        if not self.selected:
            return AnnotationError(
                f"None of the {self.others} boxes is of a class that is selected "
                f"({_listed(self.view.classes)})",
                where=where,
                advice=f"check metainfo.classes; the lake has {_listed(self.view.lake_classes)}",
            )
        fits = self._other_format()
        if not self.usable and not lost:
            what = f"All {self.selected} boxes are ignored in training (crowds, difficult or too small)"
            return AnnotationError(what, where=where, advice=self._flags_advice())
        if lost > _MANY * self.selected or not self.usable:
            share = f"{lost} of {self.selected} boxes of the selected classes are left out"
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count)
            return AnnotationError(f"{share}: {reasons}", where=where, advice=self._advice(fits))
        if fits is None:
            return None  # people draw over the edge
        return AnnotationError(
            f"{self.beyond} of {self.selected} boxes reach beyond their images",
            where=where,
            advice=self._advice(fits),
        )

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing, or next to nothing, is left of the selected classes to train on."""
        lost = sum(self.left_out.values())
        return self.selected >= _ENOUGH and (not self.usable or lost >= _NEARLY_ALL * self.selected)

    def _columns(self) -> str:
        roles = self.view.roles
        return ", ".join(
            repr(name) for name in (roles.gt_bboxes, roles.area, roles.ignore, roles.iscrowd) if name
        )

    def _advice(self, fits: BoxFormat | None) -> str:
        read = self.view.table.box_format
        dominant = max(self.left_out, key=lambda reason: self.left_out[reason])
        if not self.left_out[dominant]:
            dominant = ""
        if fits is not None and dominant not in (AREA, FLAGGED):
            return f"the boxes are read as {read}; as {fits} they fit their images: say box_format='{fits}'"
        if dominant == AREA:
            return "do without that column, then the boxes' own areas count: tensors=dict(area=False)"
        if dominant == FLAGGED:
            return "if these flags mean something else, leave them out: tensors=dict(ignore=False)"
        return f"look at the boxes, which are read as {read}; box_format= overrides what the lake says"

    def _flags_advice(self) -> str:
        roles = self.view.roles
        flags = [role for role in ("iscrowd", "difficult") if getattr(roles, role)]
        off = "".join(f", tensors=dict({role}=False) leaves such flags out" for role in flags)
        return f"check filter_cfg.bbox_min_size{off}"

    def _other_format(self) -> BoxFormat | None:
        """Another box format by which the boxes fit their images, if they do not fit as they are read."""
        table = self.view.table
        chosen = np.arange(0, len(table.boxes), -(-len(table.boxes) // _TRIED))
        rows = np.searchsorted(table.offsets, chosen, "right") - 1
        sound = (self.view.labels[chosen] >= 0) & (table.widths[rows] > 0)
        chosen, rows = chosen[sound], rows[sound]
        if not len(chosen):
            return None
        boxes = np.asarray(table.boxes[chosen], np.float64)
        sizes = table.widths[rows], table.heights[rows]
        read = table.box_format
        # The mode that the lake states is the likelier one.
        modes = sorted(MODES, key=lambda mode: mode != read.mode)
        formats = [BoxFormat(mode, unit) for mode in modes for unit in UNITS]
        shares = {one: _share_that_fits(to_xywh(boxes, one, *sizes), *sizes) for one in formats}
        best = max(shares.values())
        if best < _NEARLY_ALL or best < shares[read] + _MANY / 2:
            return None
        return next(one for one in formats if shares[one] >= best - 0.02)


def clean_boxes(view: LakeView, bbox_min_size: float | None = None) -> Cleaning:
    """Choose the boxes that take part in training, and count why others do not.

    Args:
        view: The lake.
        bbox_min_size: Boxes narrower or lower than this many pixels are to be ignored in training; or None.
    """
    table, labels = view.table, view.labels
    keep, ignored = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    left_out: dict[str, int] = {}
    unreadable = others = usable = beyond = 0
    for block in table.blocks():  # of all boxes at once, temporary arrays would fill gigabytes
        span, (_, _, width, height) = block.boxes, block.xywh.T
        reasons = box_faults(table, block)
        rest = keep[span]  # a view: what is cleared here is cleared there
        rest &= table.widths[block.rows] > 0
        unreadable += int((~rest).sum())
        wanted = labels[span] >= 0
        others += int((rest & ~wanted).sum())
        rest &= wanted
        beyond += int((reach_beyond(table, block) & rest).sum())
        for reason, hit in reasons.items():
            left_out[reason] = left_out.get(reason, 0) + int((rest & hit).sum())
            rest &= ~hit
        for flags in (table.iscrowd, table.difficult):
            if flags is not None:
                ignored[span] |= flags[span]
        if bbox_min_size is not None:
            ignored[span] |= (width < bbox_min_size) | (height < bbox_min_size)
        usable += int((rest & ~ignored[span]).sum())
    selected = len(labels) - unreadable - others
    return Cleaning(view, keep, ignored, unreadable, others, selected, usable, left_out, beyond)


def box_faults(table: AnnotationTable, block: BoxBlock) -> dict[str, NDArray[np.bool_]]:
    """Why boxes take no part in training, the class aside; of several reasons the first counts.

    Args:
        table: The annotation table.
        block: Some of its boxes.

    Returns:
        By reason, in words, whether it holds for each box of the block, shape (k,). Of images without a size
        it means nothing.
    """
    widths, heights = table.widths[block.rows], table.heights[block.rows]
    x, y, width, height = block.xywh.T
    inside_w = np.minimum(x + width, widths) - np.maximum(x, 0)
    inside_h = np.minimum(y + height, heights) - np.maximum(y, 0)
    none = np.zeros(len(x), bool)
    return {
        FLAGGED: none if table.ignore is None else table.ignore[block.boxes],
        OUTSIDE: (width > 0) & (height > 0) & ~((inside_w > 0) & (inside_h > 0)),
        TINY: ~((width >= 1) & (height >= 1)),  # or not a number
        AREA: none if table.areas is None else table.areas[block.boxes] <= 0,
    }


def reach_beyond(table: AnnotationTable, block: BoxBlock) -> NDArray[np.bool_]:
    """Whether boxes reach more than a pixel beyond their images, shape (k,).

    Args:
        table: The annotation table.
        block: Some of its boxes.
    """
    widths, heights = table.widths[block.rows], table.heights[block.rows]
    x, y, width, height = block.xywh.T
    far: NDArray[np.bool_] = (x < -_SLACK) | (y < -_SLACK)
    far |= (x + width > widths + _SLACK) | (y + height > heights + _SLACK)
    return far


def filter_images(
    view: LakeView, rows: NDArray[np.int64], filter_cfg: Mapping[str, Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images a dataset's ``filter_cfg`` leaves out of training, as ``CocoDataset`` does it.

    Args:
        view: The lake.
        rows: Row numbers, shape (n,).
        filter_cfg: Its ``min_size`` in pixels, and ``filter_empty_gt``.

    Returns:
        Whether each row's image is smaller than that, shape (n,); and whether it has no object of the
        selected classes and is not small, shape (n,). An image whose only boxes are crowds or are left out
        for other reasons has objects.
    """
    table = view.table
    small = np.minimum(table.widths, table.heights)[rows] < filter_cfg.get("min_size", 0)
    if not filter_cfg.get("filter_empty_gt", False):
        return small, np.zeros_like(small)
    return small, ~small & (table.count_per_row(view.labels >= 0)[rows] == 0)


def _share_that_fits(
    xywh: NDArray[np.float64], widths: NDArray[np.int32], heights: NDArray[np.int32]
) -> float:
    x, y, width, height = xywh.T
    inside = (
        (x >= -_SLACK) & (y >= -_SLACK) & (x + width <= widths + _SLACK) & (y + height <= heights + _SLACK)
    )
    return float((inside & (width >= 1) & (height >= 1)).mean())


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
