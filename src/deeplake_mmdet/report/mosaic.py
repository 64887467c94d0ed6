"""Ground truth and prediction side by side, as one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.report.annotate import Annotated, Objects, annotate, as_bgr
from deeplake_mmdet.report.judging import IOU, judge
from deeplake_mmdet.report.legend import Entry, class_entries, draw_entries, entries_height, kind_entries
from deeplake_mmdet.report.strokes import INK, PAPER, drawable, font, shortened

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MosaicItem", "fitting_tile", "prediction_mosaic"]

_GAP, _PAIR_GAP, _MARGIN, _TITLE, _HEADER, _CAPTION = 4, 20, 16, 26, 34, 22
_BACKING, _FAINT = (235, 235, 235), (110, 110, 110)
_SMALLEST, _LARGEST = 480, 1400  # pixels of the longer side of an image that is shown by itself
_QUALITY = 92  # of JPEG
_LIST = 12  # height of letters of numbered labels


class MosaicItem(NamedTuple):
    """One image with what is in it and what was found in it.

    Attributes:
        image: (H, W, 3) uint8, BGR; `as_bgr` tells what else.
        truth_boxes: (n, 4) xyxy in pixels of the image.
        truth_labels: (n,) indices into the class names.
        boxes: (m, 4) predicted, xyxy in pixels of the image.
        labels: (m,) indices into the class names.
        scores: (m,) in 0..1.
        caption: Stands below the image, e.g. the name of its file.
        truth_masks: See ``Objects.masks``.
        masks: Of the predictions.
        ignored: (n,) bool: objects that need not be found.
        crowd: (n,) bool: of these, those that take any number of predictions.
    """

    image: NDArray[Any]
    truth_boxes: ArrayLike
    truth_labels: ArrayLike
    boxes: ArrayLike
    labels: ArrayLike
    scores: ArrayLike
    caption: str = ""
    truth_masks: Sequence[Any] | None = None
    masks: Sequence[Any] | None = None
    ignored: ArrayLike | None = None
    crowd: ArrayLike | None = None


def fitting_tile(image: NDArray[Any]) -> tuple[int, int]:
    """Width and height for an image that is shown by itself: its own, but neither tiny nor huge.

    Args:
        image: Shape (height, width, ...).
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    scale = min(max(_SMALLEST / longer, 1.0), _LARGEST / longer)
    return max(1, round(width * scale)), max(1, round(height * scale))


def prediction_mosaic(
    items: Sequence[MosaicItem | tuple[Any, ...]],
    class_names: Sequence[str],
    out_png: str | os.PathLike[str],
    *,
    columns: int = 2,
    tile: tuple[int, int] = (360, 280),
    min_score: float = 0.3,
    truth_only: bool = False,
    title: str = "",
    heading: str = "ground truth",
    numbers: bool = False,
    most: int | None = None,
) -> Path:
    """Draw images in pairs, the ground truth left and the prediction right, both at one scale.

    Objects that no prediction found and predictions that found nothing (of a class's objects each is found by
    one prediction at most, at an IoU of 0.5) are marked; a legend says how, and which colour a class has.

    Args:
        items: The images, in the order to show, row by row; see ``MosaicItem``.
        class_names: Names in the order of the labels; their colours can be told apart by the colour-blind.
        out_png: The picture to write, PNG or by its ending JPEG; its folder is made where missing.
        columns: Pairs in a row; images, if only the truth is drawn.
        tile: Width and height in pixels that each image is scaled to fit into.
        min_score: Predictions below this score are left out.
        truth_only: Whether to leave out the predictions' side.
        title: Stands above all.
        heading: Stands above the side of the truth.
        numbers: Whether labels for which there is no room become numbers, with a list below the image; they
            are left out otherwise.
        most: How many predictions of an image are drawn, the surest; None for all.

    Returns:
        The path of the picture.

    Raises:
        ConfigError: There is nothing to show, or ``columns`` is less than 1.
        OSError: The file cannot be written.
    """
    if not items or columns < 1 or (most is not None and most < 1):
        raise ConfigError(
            "a mosaic needs at least one image and one column",
            where=f"{len(items)} items, columns={columns}",
            advice="pass the images to show",
        )
    options: dict[str, Any] = {"truth_only": truth_only, "numbers": numbers, "most": most}
    halves = [_halves(MosaicItem(*raw), class_names, tile, min_score, **options) for raw in items]
    headings = [heading] if truth_only else [heading, f"prediction, score ≥ {min_score:.2g}"]
    sheet = _sheet(halves, class_names, min(columns, len(items)), tile, title, headings)
    out = Path(out_png)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() in (".jpg", ".jpeg"):
        sheet.save(out, format="JPEG", quality=_QUALITY)
    else:
        sheet.save(out, format="PNG")
    return out


class _Halves(NamedTuple):
    """What is drawn of one item: its sides, its caption, and which classes they show."""

    sides: list[Annotated]
    caption: str
    shown: set[int]
    ignored: bool


def _halves(
    item: MosaicItem,
    names: Sequence[str],
    tile: tuple[int, int],
    min_score: float,
    *,
    truth_only: bool,
    numbers: bool,
    most: int | None,
) -> _Halves:
    image = as_bgr(item.image)
    scale = min(tile[0] / image.shape[1], tile[1] / image.shape[0])
    options: dict[str, Any] = {"scale": scale, "numbers": numbers}
    truth = Objects(item.truth_boxes, item.truth_labels, None, item.truth_masks)
    shown = set(np.asarray(item.truth_labels, np.int64).reshape(-1).tolist())
    if truth_only:
        aside = np.zeros(0, bool) if item.ignored is None else np.asarray(item.ignored, bool).reshape(-1)
        if aside.any():
            truth = truth._replace(kinds=["ignored" if one else "" for one in aside.tolist()])
        return _Halves([annotate(image, truth, names, **options)], item.caption, shown, bool(aside.any()))
    kinds, judged = judge(
        item.truth_boxes, item.truth_labels, item.boxes, item.labels, item.scores,
        ignored=item.ignored, crowd=item.crowd, min_score=min_score,
    )  # fmt: skip
    scores = np.asarray(item.scores, np.float64).reshape(-1)
    sure = np.sort(scores[scores >= min_score])[::-1]
    cut = min_score if most is None or len(sure) <= most else float(sure[most - 1])
    found = Objects(item.boxes, item.labels, scores, item.masks, judged)
    shown |= set(np.asarray(item.labels, np.int64).reshape(-1)[scores >= cut].tolist())
    sides = [
        annotate(image, truth._replace(kinds=kinds), names, **options),
        annotate(image, found, names, min_score=cut, **options),
    ]
    missed, false = kinds.count("missed"), judged.count("false")
    told = ", ".join(f"{count} {name}" for count, name in ((missed, "missed"), (false, "false")) if count)
    drawn = f"the surest {most} of {len(sure)} drawn" if cut > min_score else ""
    caption = "  ·  ".join(part for part in (item.caption, told or "all found", drawn) if part)
    return _Halves(sides, caption, shown, "ignored" in kinds)


def _sheet(
    halves: Sequence[_Halves],
    names: Sequence[str],
    columns: int,
    tile: tuple[int, int],
    title: str,
    headings: Sequence[str],
) -> Image:
    from PIL import Image as Images
    from PIL import ImageDraw

    pair = len(headings) * (tile[0] + _GAP) - _GAP
    width = 2 * _MARGIN + columns * pair + (columns - 1) * _PAIR_GAP
    room = width - 2 * _MARGIN
    entries = class_entries(names, {label for half in halves for label in half.shown})
    marks = []
    if len(headings) > 1:
        marks = kind_entries(ignored=any(half.ignored for half in halves))
        marks.append(Entry(f"found at IoU ≥ {IOU:g}", style=""))
    if hidden := sum(side.unlabelled for half in halves for side in half.sides):
        marks.append(Entry(f"{hidden} labels had no room", style=""))
    lists = [
        max(
            _list_height(side.listed, tile[0])
            for half in halves[start : start + columns]
            for side in half.sides
        )
        for start in range(0, len(halves), columns)
    ]
    above = _MARGIN // 2 + (_TITLE if title else 0)
    grid = above + (_HEADER if any(headings) else _MARGIN // 2)
    tops = [grid + sum(lists[:row]) + row * (tile[1] + _CAPTION + _GAP) for row in range(len(lists))]
    foot = grid + sum(lists) + len(lists) * (tile[1] + _CAPTION + _GAP) + _GAP
    legend = entries_height(entries, room) + entries_height(marks, room)
    sheet = Images.new("RGB", (width, foot + legend + _MARGIN // 2), PAPER)
    pen = ImageDraw.Draw(sheet)
    if title:
        text = shortened(drawable(title), font(16, bold=True), room)
        pen.text((_MARGIN, above - _TITLE / 2 + 4), text, font=font(16, bold=True), fill=INK, anchor="lm")
    for column in range(columns):
        left = _MARGIN + column * (pair + _PAIR_GAP)
        for side, heading in enumerate(headings):
            middle = left + side * (tile[0] + _GAP) + tile[0] / 2
            text = shortened(heading, font(14, bold=True), tile[0])
            pen.text((middle, above + _HEADER / 2 + 2), text, font=font(14, bold=True), fill=INK, anchor="mm")
    for number, half in enumerate(halves):
        row, column = divmod(number, columns)
        left = _MARGIN + column * (pair + _PAIR_GAP)
        for side, drawn in enumerate(half.sides):
            place = left + side * (tile[0] + _GAP)
            _paste(sheet, drawn, place, tops[row], tile)
            _write_list(pen, drawn.listed, (place, tops[row] + tile[1] + _CAPTION), tile[0])
        text = shortened(drawable(half.caption), font(12), pair)
        pen.text((left, tops[row] + tile[1] + _CAPTION / 2), text, font=font(12), fill=_FAINT, anchor="lm")
    draw_entries(pen, (_MARGIN, foot), entries, room)
    draw_entries(pen, (_MARGIN, foot + entries_height(entries, room)), marks, room)
    return sheet


def _paste(sheet: Image, drawn: Annotated, left: int, top: int, tile: tuple[int, int]) -> None:
    from PIL import Image as Images

    picture = Images.fromarray(np.ascontiguousarray(drawn.image[..., ::-1]))
    backing = Images.new("RGB", tile, _BACKING)
    backing.paste(picture, ((tile[0] - picture.width) // 2, (tile[1] - picture.height) // 2))
    sheet.paste(backing, (left, top))


def _listed(texts: Sequence[str]) -> list[Entry]:
    return [Entry(f"{number} {text}", style="") for number, text in enumerate(texts, start=1)]


def _list_height(texts: Sequence[str], width: int) -> int:
    return entries_height(_listed(texts), width, _LIST)


def _write_list(pen: Any, texts: Sequence[str], corner: tuple[int, int], width: int) -> None:
    draw_entries(pen, corner, _listed(texts), width, _LIST)
