"""Ground truth and prediction side by side, as one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.report.palette import class_colour, ink_on
from deeplake_mmdet.terminal import readable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["MosaicItem", "prediction_mosaic"]

_GAP, _PAIR_GAP, _MARGIN, _HEADER, _LEGEND_LINE = 4, 20, 16, 34, 30
_PAPER, _INK, _BACKING = (255, 255, 255), (40, 40, 40), (235, 235, 235)


class MosaicItem(NamedTuple):
    """One image with what is in it and what was found in it.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        truth_boxes: (n, 4) xyxy in pixels of the image.
        truth_labels: (n,) indices into the class names.
        boxes: (m, 4) predicted, xyxy in pixels of the image.
        labels: (m,) indices into the class names.
        scores: (m,) in 0..1.
        caption: Stands at the foot of the ground truth.
    """

    image: NDArray[np.uint8]
    truth_boxes: ArrayLike
    truth_labels: ArrayLike
    boxes: ArrayLike
    labels: ArrayLike
    scores: ArrayLike
    caption: str = ""


def _font(size: int, bold: bool = False) -> Any:
    # Matplotlib brings this font, so the picture is the same on a machine without fonts.
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _tag(pen: ImageDraw, corner: tuple[float, float], text: str, label: int, font: Any, width: int) -> None:
    """A label above a box's top left corner, moved inside the tile where it would be cut off."""
    _, _, right, bottom = font.getbbox(text)
    wide, high = right + 6, bottom + 4
    x = max(0, min(corner[0] - 1, width - wide))
    y = corner[1] - high if corner[1] >= high else corner[1]
    pen.rectangle((x, y, x + wide, y + high), fill=class_colour(label))
    pen.text((x + 3, y + 1), text, font=font, fill=ink_on(class_colour(label)))


def _tag_at_foot(pen: ImageDraw, corner: tuple[int, int], text: str, font: Any) -> None:
    _, _, right, bottom = font.getbbox(text)
    pen.rectangle((corner[0], corner[1] - bottom - 6, corner[0] + right + 8, corner[1] - 1), fill=_PAPER)
    pen.text((corner[0] + 4, corner[1] - bottom - 4), text, font=font, fill=_INK)


def _tile(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    texts: Sequence[str],
    size: tuple[int, int],
) -> Image:
    from PIL import Image as Images
    from PIL import ImageDraw

    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Images.fromarray(np.ascontiguousarray(image[..., ::-1]))
    picture = picture.resize(shown, Images.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    font = _font(12)
    corners = boxes * scale
    for box, label in zip(corners, labels, strict=True):
        x1, y1, x2, y2 = box.tolist()
        frame = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        # A dark seam keeps the frame visible on a background of its own colour.
        outer = (frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1)
        pen.rectangle(outer, outline=(0, 0, 0))
        pen.rectangle(frame, outline=class_colour(int(label)), width=2)
    for box, label, text in zip(corners, labels, texts, strict=True):
        _tag(pen, (float(box[0]), float(box[1])), text, int(label), font, shown[0])
    tile = Images.new("RGB", size, _BACKING)
    tile.paste(picture, ((size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2))
    return tile


def _pair(
    item: MosaicItem, names: Sequence[str], size: tuple[int, int], min_score: float
) -> tuple[Image, Image]:
    truth_boxes = np.asarray(item.truth_boxes, np.float64).reshape(-1, 4)
    truth_labels = np.asarray(item.truth_labels, np.int64).reshape(-1)
    scores = np.asarray(item.scores, np.float64).reshape(-1)
    # Lowest first, so that the surest prediction is drawn on top.
    order = np.argsort(scores, kind="stable")
    order = order[scores[order] >= min_score]
    boxes = np.asarray(item.boxes, np.float64).reshape(-1, 4)[order]
    labels = np.asarray(item.labels, np.int64).reshape(-1)[order]
    found = [
        f"{names[label]} {score:.2f}" for label, score in zip(labels.tolist(), scores[order], strict=True)
    ]
    wanted = [names[label] for label in truth_labels.tolist()]
    return (
        _tile(item.image, truth_boxes, truth_labels, wanted, size),
        _tile(item.image, boxes, labels, found, size),
    )


def _legend_lines(class_names: Sequence[str], font: Any, width: int) -> list[list[tuple[int, float]]]:
    """Place the legend's entries, (label, x), on as many lines as they need."""
    lines: list[list[tuple[int, float]]] = [[]]
    x = 0.0
    for label, name in enumerate(class_names):
        need = 24 + font.getlength(name) + 22
        if lines[-1] and x + need > width:
            lines.append([])
            x = 0.0
        lines[-1].append((label, x))
        x += need
    return lines


def prediction_mosaic(
    items: Sequence[MosaicItem | tuple[Any, ...]],
    class_names: Sequence[str],
    out_png: str | os.PathLike[str],
    *,
    columns: int = 2,
    tile: tuple[int, int] = (360, 280),
    min_score: float = 0.3,
    truth_only: bool = False,
) -> Path:
    """Draw images in pairs, the ground truth left and the prediction right, with a legend of the classes.

    Args:
        items: The images, in the order to show, row by row; see ``MosaicItem``.
        class_names: Names in the order of the labels; their colours can be told apart by the colour-blind.
        out_png: The picture to write; its folder is made where missing.
        columns: Pairs in a row; images, if only the truth is drawn.
        tile: Width and height in pixels that each image is scaled to fit into.
        min_score: Predictions below this score are left out.
        truth_only: Whether to leave out the predictions' side.

    Returns:
        The path of the picture.

    Raises:
        ConfigError: There is nothing to show, or ``columns`` is less than 1.
    """
    from PIL import Image as Images
    from PIL import ImageDraw

    if not items or columns < 1:
        raise ConfigError(
            "a mosaic needs at least one image and one column",
            where=f"{len(items)} items, columns={columns}",
            advice="pass the images to show",
        )
    columns = min(columns, len(items))
    class_names = [readable(name) for name in class_names]  # a line break would end the drawing
    rows = -(-len(items) // columns)
    headings = ("ground truth",) if truth_only else ("ground truth", "prediction")
    pair = len(headings) * (tile[0] + _GAP) - _GAP
    width = 2 * _MARGIN + columns * pair + (columns - 1) * _PAIR_GAP
    font, bold, small = _font(15), _font(15, bold=True), _font(12)
    legend = _legend_lines(class_names, font, width - 2 * _MARGIN)
    grid = _MARGIN + _HEADER
    foot = grid + rows * (tile[1] + _GAP) + _MARGIN
    sheet = Images.new("RGB", (width, foot + len(legend) * _LEGEND_LINE + _MARGIN // 2), _PAPER)
    pen = ImageDraw.Draw(sheet)

    for column in range(columns):
        left = _MARGIN + column * (pair + _PAIR_GAP)
        for side, heading in enumerate(headings):
            middle = left + side * (tile[0] + _GAP) + tile[0] / 2
            pen.text((middle, _MARGIN + _HEADER / 2 - 6), heading, font=bold, fill=_INK, anchor="mm")
    for number, raw in enumerate(items):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * (pair + _PAIR_GAP), grid + row * (tile[1] + _GAP)
        tiles = _pair(MosaicItem(*raw), class_names, tile, min_score)
        for side, picture in enumerate(tiles[: len(headings)]):
            sheet.paste(picture, (left + side * (tile[0] + _GAP), top))
        if caption := readable(raw[6] if len(raw) > 6 else ""):
            _tag_at_foot(pen, (left, top + tile[1]), caption, small)
    for line, entries in enumerate(legend):
        y = foot + line * _LEGEND_LINE
        for label, x in entries:
            pen.rectangle((_MARGIN + x, y, _MARGIN + x + 16, y + 16), fill=class_colour(label), outline=_INK)
            pen.text((_MARGIN + x + 24, y + 8), class_names[label], font=font, fill=_INK, anchor="lm")

    out = Path(out_png)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, format="PNG")
    return out
