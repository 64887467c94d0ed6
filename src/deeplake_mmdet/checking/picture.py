"""A check's result as one picture: classes, box sizes, and images with their faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.annotations import COCO_LARGE, COCO_SMALL, faults_of
from deeplake_mmdet.checking.kinds import SEVERITIES
from deeplake_mmdet.errors import ConfigError, ImageError, readable
from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.lake.table.table import BoxBlock
from deeplake_mmdet.report import Objects, annotate
from deeplake_mmdet.transfer.decoder import decode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from deeplake_mmdet.checking.result import CheckResult, Finding, LakeFacts

__all__ = ["check_place", "draw"]

_BLUE, _ORANGE, _RED, _GREY = "#0072b2", "#e69f00", "#d00000", "#888888"
_COLOURS = (_BLUE, _ORANGE)
_CLASSES, _NAME = 30, 28  # bars, and letters of a name
_TILES, _ACROSS, _PER_KIND = 8, 4, 2
_WIDE = 480  # pixels of an image
_SPREAD = 50  # times as many boxes of one class as of another: a logarithmic scale shows both


class _Tile(NamedTuple):
    title: str
    view: LakeView
    row: int
    kind: str
    colour: str


def check_place(path: str | os.PathLike[str]) -> Path:
    """Find out whether a picture can be written, before hours of reading.

    Args:
        path: The PNG file to write; its folder is made where missing.

    Raises:
        ConfigError: It is a folder, or nothing can be written there.
    """
    out = Path(path)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        problem = "it is a folder" if out.is_dir() else ""
        if not problem and not os.access(out if out.exists() else out.parent, os.W_OK):
            problem = "it may not be written"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        raise ConfigError(
            f"No picture can be put there: {problem}", where=str(out), advice="name a file, as in check.png"
        )
    return out


def draw(result: CheckResult, path: str | os.PathLike[str]) -> Path:
    """Draw classes, box sizes and images of some faults.

    Args:
        result: What `check` found.
        path: The PNG file to write; its folder is made where missing.

    Returns:
        The path.

    Raises:
        ConfigError: The file cannot be written.
        StorageError: An image cannot be read.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out = check_place(path)
    lakes = [facts for facts in result.lakes if facts.classes]
    tiles = _tiles(result)
    bars = min(_CLASSES, max((len(facts.classes) for facts in lakes), default=0))
    strip = -(-len(tiles) // _ACROSS)
    heights = [max(3.4, 1.2 + (0.24 if len(lakes) < 2 else 0.34) * bars)] + [3.0] * strip
    figure = Figure(figsize=(13, sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.08)  # type: ignore[union-attr, call-arg]
    grid = figure.add_gridspec(len(heights), _ACROSS, height_ratios=heights)
    axes = figure.add_subplot(grid[0, : _ACROSS // 2])
    _draw_classes(axes, lakes)
    if len(lakes) > 1:  # of both charts; within one it would hide bars
        figure.legend(handles=axes.get_legend_handles_labels()[0], loc="outside lower center", ncols=2)
    _draw_sizes(figure.add_subplot(grid[0, _ACROSS // 2 :]), lakes)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, _ACROSS)
        _draw_image(figure.add_subplot(grid[row + 1, column]), tile)
    found = {name: len(result.of(name)) for name in SEVERITIES}
    counts = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in found.items())
    names = " and ".join(facts.source.url.rpartition("/")[2] for facts in result.lakes)
    figure.suptitle(_plain(f"{names}: {counts}"), fontsize=12)
    figure.savefig(out, dpi=110, format="png")
    return out


def _plain(text: str) -> str:
    """A text in which matplotlib finds no formula, and no letter that its font lacks."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    known = (letter if font.get_char_index(ord(letter)) else "\ufffd" for letter in readable(text))
    return "".join(known).replace("$", r"\$")


def _label(facts: LakeFacts, number: int, several: bool) -> str:
    return _plain(f"{'second' if number else 'first'} lake, {facts.boxes:,} boxes" if several else "boxes")


def _draw_classes(axes: Axes, lakes: list[LakeFacts]) -> None:
    axes.set_title("boxes of each class", fontsize=10)
    if not lakes:
        axes.text(0.5, 0.5, "no boxes", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    total: dict[str, int] = {}
    for facts in lakes:
        for name, boxes, _ in facts.classes:
            total[name] = total.get(name, 0) + boxes
    order = sorted(total, key=lambda name: -total[name])
    shown = order[:_CLASSES]
    places = np.arange(len(shown))
    thick = 0.8 / len(lakes)
    for number, facts in enumerate(lakes):
        counts = {name: boxes for name, boxes, _ in facts.classes}
        values = [counts.get(name, 0) for name in shown]
        at = places + (number - (len(lakes) - 1) / 2) * thick
        bars = axes.barh(
            at, values, thick, color=_COLOURS[number], label=_label(facts, number, len(lakes) > 1)
        )
        axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=7)
    names = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name in shown]
    axes.set_yticks(places, [_plain(name) for name in names], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    values = [total[name] for name in shown if total[name]]
    if values and max(values) > _SPREAD * min(values):
        axes.set_xscale("log")
        axes.set_xlim(0.8, max(values) * 4)
    else:
        axes.set_xlim(0, max(values, default=1) * 1.18)
    if len(order) > len(shown):
        axes.set_xlabel(f"the {len(shown)} largest of {len(order)} classes", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_sizes(axes: Axes, lakes: list[LakeFacts]) -> None:
    axes.set_title("box sizes (square root of the area, in pixels)", fontsize=10)
    chosen = [(number, facts) for number, facts in enumerate(lakes) if facts.size_counts.sum()]
    if not chosen:
        axes.text(0.5, 0.5, "no boxes of a known size", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    edges = chosen[0][1].size_edges.copy()
    edges[0] = edges[1] / 2**0.5  # the scale is logarithmic; the first bin is that of sizes below a pixel
    filled = np.flatnonzero(sum(facts.size_counts for _, facts in chosen))
    for number, facts in chosen:
        share = facts.size_counts / facts.size_counts.sum() * 100
        axes.stairs(
            share,
            edges,
            fill=True,
            label=_label(facts, number, len(lakes) > 1),
            alpha=0.55 if len(chosen) > 1 else 0.9,
            color=_COLOURS[number],
        )
    axes.set_xscale("log", base=2)
    low, high = edges[max(filled[0] - 1, 0)], edges[min(filled[-1] + 2, len(edges) - 1)]
    axes.set_xlim(min(low, COCO_SMALL / 2), max(high, COCO_LARGE * 2))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("% of the boxes", fontsize=8)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.15)  # room for the names of the three sizes
    left, right = axes.get_xlim()
    bounds = (left, COCO_SMALL, COCO_LARGE, right)
    for bound in bounds[1:3]:
        axes.axvline(bound, color=_GREY, linestyle="--", linewidth=1)
    totals = np.sum([facts.coco_sizes for _, facts in chosen], axis=0)
    names = zip(("small", "medium", "large"), totals.tolist(), bounds[:-1], bounds[1:], strict=True)
    for name, count, start, stop in names:
        middle = (start * stop) ** 0.5
        axes.text(
            middle,
            0.985,
            f"{name}\n{count:,}",
            ha="center",
            va="top",
            fontsize=8,
            transform=axes.get_xaxis_transform(),
        )
    axes.spines[["top", "right"]].set_visible(False)


def _tiles(result: CheckResult) -> list[_Tile]:
    """Images to show: a few of each kind of finding, the gravest first."""
    views = [facts.view for facts in result.lakes]
    first = views[0]
    found: list[_Tile] = []
    for finding in result.findings:
        view = views[finding.lake]
        if view is None or finding.severity == "note":
            continue
        second = " (second lake)" if finding.lake else ""
        for row, twin in _examples(finding):
            group = [_Tile(f"{finding.kind}\nrow {row}{second}", view, row, finding.kind, _RED)]
            if twin is not None and first is not None:
                group.append(_Tile(f"its like\nrow {twin} (first lake)", first, twin, "", _GREY))
            if len(found) + len(group) <= _TILES:
                found += group
    return found


def _examples(finding: Finding) -> list[tuple[int, int | None]]:
    if finding.twins:
        return list(finding.twins[:1])
    return [(row, None) for row in finding.rows[:_PER_KIND].tolist()]


def _draw_image(axes: Axes, tile: _Tile) -> None:
    axes.set_title(tile.title, fontsize=9, color=tile.colour)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_edgecolor(tile.colour)
    view, row = tile.view, tile.row
    image = view.fetch([row])[0]
    pixels: Any = image
    if not isinstance(image, ImageError):
        try:
            pixels = decode(image)
        except ImageError as error:
            pixels = error
    if isinstance(pixels, ImageError):
        axes.set_facecolor("#eeeeee")
        told = _plain(pixels.what).replace(" ", "\n", 2)
        axes.text(0.5, 0.5, told, ha="center", va="center", fontsize=9, transform=axes.transAxes)
        return
    height, width = pixels.shape[:2]
    boxes, wrong = _boxes(tile)
    sound = Objects(view.table.xyxy(row)[~wrong], np.asarray(view.labels[view.table.span(row)])[~wrong])
    scale = min(1.0, _WIDE / max(height, width))
    shown = annotate(pixels, sound, view.classes, scale=scale, labels=False).image
    axes.imshow(shown[..., ::-1], extent=(0, width, height, 0), interpolation="antialiased")
    _draw_faults(axes, boxes, wrong, width, height)


def _boxes(tile: _Tile) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A row's boxes, (left, top, width, height) in pixels, and which of them have the tile's fault."""
    table, row = tile.view.table, tile.row
    span, boxes = table.span(row), table.xywh(row)
    with np.errstate(over="ignore", invalid="ignore"):
        faults = faults_of(table, BoxBlock(span, np.full(len(boxes), row), boxes))
    return boxes, faults.get(tile.kind, np.zeros(len(boxes), bool))


def _draw_faults(
    axes: Axes, boxes: NDArray[np.float64], wrong: NDArray[np.bool_], width: int, height: int
) -> None:
    from matplotlib.patches import Rectangle

    drawn = np.clip(boxes, -9 * max(width, height), 9 * max(width, height))
    for at in np.flatnonzero(wrong):
        x, y, w, h = drawn[at].tolist()
        axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=_RED, linewidth=2.0))
        if abs(w) < width / 40 or abs(h) < height / 40:  # too small to be seen
            axes.plot(
                x + w / 2, y + h / 2, "o", color=_RED, markersize=12, markerfacecolor="none", clip_on=False
            )
    if wrong.any():
        ends = np.concatenate([drawn[wrong, :2], drawn[wrong, :2] + drawn[wrong, 2:]])
        low = np.maximum(np.minimum(ends.min(axis=0), 0), (-width, -height))
        high = np.minimum(np.maximum(ends.max(axis=0), (width, height)), (2 * width, 2 * height))
        first = boxes[wrong][0]
        if (first[:2] > high).any() or (first[:2] + first[2:] < low).any():
            axes.set_xlabel(
                f"box at ({first[0]:g}, {first[1]:g}), size {first[2]:g} x {first[3]:g}", fontsize=8
            )
        axes.set_xlim(low[0] - width / 50 * (low[0] < 0), high[0] + width / 50 * (high[0] > width))
        axes.set_ylim(high[1] + height / 50 * (high[1] > height), low[1] - height / 50 * (low[1] < 0))
    else:
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
