"""What the labels of a split are like: classes, sizes, shapes and positions of boxes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.lake.schema.boxes import to_xywh
from deeplake_mmdet.report.figures import bars, new_figure, save_figure, say_nothing
from deeplake_mmdet.report.palette import class_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LabelStatistics", "label_picture", "label_statistics"]

_MOST = 500_000  # boxes whose sizes and positions are looked at
_FIELDS = 50  # of a map, each way, at most
_CLASSES = 30  # bars
_FEW = 2000  # boxes, up to which each is a point
_SPREAD = 20  # times as many boxes in one field as in another: a logarithmic scale shows both
_SMALL, _LARGE = 32, 96  # COCO's bounds, pixels


@dataclass(frozen=True)
class LabelStatistics:
    """What the labels are like.

    Attributes:
        class_names: K of them.
        counts: Boxes of each class, shape (K,).
        images: How many images there are.
        empty: How many of them have no box.
        sides: (width, height) in pixels of some of the boxes, spread over all rows, shape (n, 2).
        shares: (centre x, centre y, width, height) of the same in parts of their images, shape (n, 4).
    """

    class_names: tuple[str, ...]
    counts: NDArray[np.int64]
    images: int
    empty: int
    sides: NDArray[np.float64]
    shares: NDArray[np.float64]


def label_statistics(parts: Iterable[tuple[LakeView, NDArray[np.int64]]]) -> LabelStatistics:
    """Look at the annotation tables of some lakes: all labels, and half a million of the boxes at most.

    Args:
        parts: Each lake and the rows of it that are used, shape (n,). The first one's classes count; lakes
            with other classes add nothing.
    """
    given = list(parts)
    names = given[0][0].classes if given else ()
    used = [(view, np.asarray(rows, np.int64)) for view, rows in given if view.classes == names]
    counts = np.zeros(len(names), np.int64)
    images = empty = 0
    sides: list[NDArray[np.float64]] = [np.zeros((0, 2))]
    shares: list[NDArray[np.float64]] = [np.zeros((0, 4))]
    for view, rows in used:
        offsets = np.asarray(view.table.offsets)
        everywhere = np.asarray(view.labels)
        per_row = offsets[rows + 1] - offsets[rows]
        images, empty = images + len(rows), empty + int((per_row == 0).sum())
        whole = len(rows) == len(view.table)
        labels = everywhere if whole else everywhere[_places(offsets, rows)]
        counts += np.bincount(labels[labels >= 0], minlength=len(names))
        step = max(1, -(-int(per_row.sum()) * len(used) // _MOST))
        some = rows[::step]
        places = _places(offsets, some)
        owners = np.repeat(some, offsets[some + 1] - offsets[some])
        kept = everywhere[places] >= 0
        boxes = _xywh(view, places[kept], owners[kept])
        size = np.stack([view.table.widths[owners[kept]], view.table.heights[owners[kept]]], axis=1)
        size = np.maximum(size, 1)
        sides.append(boxes[:, 2:])
        shares.append(np.concatenate([(boxes[:, :2] + boxes[:, 2:] / 2) / size, boxes[:, 2:] / size], axis=1))
    return LabelStatistics(names, counts, images, empty, np.concatenate(sides), np.concatenate(shares))


def _places(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    places: NDArray[np.int64] = np.repeat(offsets[rows] - ends + counts, counts) + np.arange(total)
    return places


def _xywh(view: LakeView, places: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    table = view.table
    return to_xywh(
        np.asarray(table.boxes[places]), table.box_format, table.widths[owners], table.heights[owners]
    )


def label_picture(found: LabelStatistics, out: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw label statistics: boxes by class, box sizes, where boxes lie, and their widths and heights.

    Args:
        found: The statistics.
        out: The picture; its folder is made where missing.
        title: Stands above all.

    Returns:
        Its path.
    """
    shown = np.argsort(-found.counts, kind="stable")[:_CLASSES].tolist()
    figure = new_figure(12, max(7.5, 4 + 0.24 * len(shown)))
    total = int(found.counts.sum())
    told = f"{total:,} boxes of {len(found.class_names):,} classes on {found.images:,} images"
    told += f", {found.empty:,} of them without a box" if found.empty else ""
    figure.suptitle(f"{title}: {told}" if title else told, fontsize=12)
    grid = figure.add_gridspec(2, 2, height_ratios=(max(3.4, 0.24 * len(shown)), 3.4))
    classes = figure.add_subplot(grid[0, 0])
    classes.set_title("boxes of each class", fontsize=10)
    if not total:
        say_nothing(classes, "no boxes")
    else:
        names = [found.class_names[label] for label in shown]
        bars(classes, names, found.counts[shown].tolist(), [class_colour(label) for label in shown])
        if len(shown) < len(found.class_names):
            classes.set_xlabel(f"the {len(shown)} largest of {len(found.class_names)} classes", fontsize=8)
    _draw_sizes(figure.add_subplot(grid[0, 1]), found)
    _draw_map(figure, figure.add_subplot(grid[1, 0]), found.shares[:, :2], "centres of boxes", ("x", "y"))
    wide = "widths and heights of boxes"
    _draw_map(figure, figure.add_subplot(grid[1, 1]), found.shares[:, 2:], wide, ("width", "height"))
    return save_figure(figure, out)


def _draw_sizes(axes: Axes, found: LabelStatistics) -> None:
    axes.set_title("box sizes: square root of the area, in pixels", fontsize=10)
    with np.errstate(invalid="ignore"):
        sizes = np.sqrt(found.sides.clip(min=0).prod(axis=1))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        say_nothing(axes, "no boxes")
        return
    edges = np.geomspace(max(sizes.min(), 0.5) * 0.98, max(sizes.max(), 1) * 1.02, 41)
    share = np.histogram(sizes, edges)[0] / len(sizes) * 100
    axes.stairs(share, edges, fill=True, color="#0072b2", alpha=0.85)
    axes.set_xscale("log", base=2)
    low, high = min(edges[0], _SMALL / 2), max(edges[-1], _LARGE * 2)
    axes.set_xlim(low, high)
    axes.set_ylim(0, share.max() * 1.22)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("% of the boxes", fontsize=8)
    bounds = (low, _SMALL, _LARGE, high)
    for number, name in enumerate(("small", "medium", "large")):
        inside = ((sizes >= bounds[number]) & (sizes < bounds[number + 1])).mean()
        middle = (bounds[number] * bounds[number + 1]) ** 0.5
        axes.text(
            middle, 0.98, f"{name}\n{inside:.0%}", ha="center", va="top", fontsize=8,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    for bound in bounds[1:3]:
        axes.axvline(bound, color="#888888", linestyle="--", linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_map(
    figure: Figure, axes: Axes, points: NDArray[np.float64], title: str, names: tuple[str, str]
) -> None:
    axes.set_title(f"{title}, in parts of the image", fontsize=10)
    points = points[np.isfinite(points).all(axis=1)].clip(0, 1)
    if not len(points):
        say_nothing(axes, "no boxes")
        return
    if len(points) <= _FEW:
        axes.scatter(points[:, 0], points[:, 1], s=10, alpha=0.4, color="#0072b2", linewidths=0)
        axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")
    else:
        each_way = int(np.clip(len(points) ** 0.5 / 2, 12, _FIELDS))
        fields = np.histogram2d(points[:, 1], points[:, 0], each_way, ((0, 1), (0, 1)))[0]
        image = axes.imshow(
            np.where(fields > 0, fields, np.nan),
            cmap="viridis",
            extent=(0, 1, 1, 0),
            interpolation="nearest",
            norm="log" if fields.max() > _SPREAD * fields[fields > 0].min() else None,
        )
        figure.colorbar(image, ax=axes, shrink=0.8, format="%g").set_label("boxes", fontsize=8)
    axes.set_xlabel(names[0], fontsize=8)
    axes.set_ylabel(names[1], fontsize=8)
    if names[1] == "height":
        axes.invert_yaxis()
