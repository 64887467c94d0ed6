"""Legends of pictures: the colours of classes, and what the lines of boxes mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.report.palette import RGB, class_colour
from deeplake_mmdet.report.strokes import INK, PAPER, drawable, font, line, shortened

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["Entry", "class_entries", "draw_entries", "entries_height", "kind_entries", "with_footer"]

_MOST = 40  # classes
_SWATCH, _SAMPLE, _SPACE, _AFTER = 18, 42, 7, 20
_WIDEST, _EDGE = 260, 6
_LINES = (90, 90, 90)


class Entry(NamedTuple):
    """One entry: a filled sign of a colour, or lines of a style.

    Attributes:
        text: What it says.
        colour: Of the sign.
        style: ``'filled'``, a style of `strokes.DASHES`, or empty for a text alone.
    """

    text: str
    colour: RGB = INK
    style: str = "filled"


def class_entries(class_names: Sequence[str], shown: Iterable[int]) -> list[Entry]:
    """Entries of the classes that a picture shows; of many the first forty.

    Args:
        class_names: By label.
        shown: Labels, in any order, repeated or not.
    """
    labels = sorted({int(label) for label in shown if 0 <= int(label) < len(class_names)})
    found = [Entry(drawable(class_names[label]), class_colour(label)) for label in labels[:_MOST]]
    if len(labels) > _MOST:
        found.append(Entry(f"and {len(labels) - _MOST} more classes", style=""))
    return found


def kind_entries(*, truth: bool = True, predictions: bool = True, ignored: bool = False) -> list[Entry]:
    """Entries of the lines by which objects are marked.

    Args:
        truth: Whether missed objects are.
        predictions: Whether false predictions are.
        ignored: Whether objects are that count neither way.
    """
    found = []
    if truth and predictions:
        found.append(Entry("found", _LINES, "solid"))
    if truth:
        found.append(Entry("? missed", _LINES, "dashed"))
    if predictions:
        found.append(Entry("✕ false", _LINES, "dotted"))
    if ignored:
        found.append(Entry("counts neither way", (150, 150, 150), "solid"))
    return found


def _rows(entries: Sequence[Entry], width: float, size: int) -> list[list[tuple[Entry, str, float]]]:
    face = font(size)
    rows: list[list[tuple[Entry, str, float]]] = [[]]
    x = 0.0
    for entry in entries:
        text = shortened(
            drawable(entry.text), face, min(_WIDEST if entry.style else width, width - _SWATCH - _SPACE)
        )
        need = _sign_width(entry) + face.getlength(text)
        if rows[-1] and x + need > width:
            rows.append([])
            x = 0.0
        rows[-1].append((entry, text, x))
        x += need + _AFTER
    return rows


def entries_height(entries: Sequence[Entry], width: float, size: int = 13) -> int:
    """How high `draw_entries` draws, in pixels.

    Args:
        entries: The entries.
        width: Pixels that are there.
        size: Height of letters, pixels.
    """
    return len(_rows(entries, width, size)) * _line_height(size) if entries else 0


def draw_entries(
    pen: ImageDraw, corner: tuple[float, float], entries: Sequence[Entry], width: float, size: int = 13
) -> None:
    """Draw entries from left to right, on as many lines as they need.

    Args:
        pen: Draws them.
        corner: Left and top, pixels.
        entries: The entries.
        width: Pixels that are there; longer texts are cut.
        size: Height of letters, pixels.
    """
    if not entries:
        return
    face: Any = font(size)
    high = _line_height(size)
    for number, row in enumerate(_rows(entries, width, size)):
        middle = corner[1] + number * high + high / 2
        for entry, text, x in row:
            left = corner[0] + x
            if entry.style == "filled":
                half = size * 0.45
                box = (round(left), round(middle - half), round(left) + _SWATCH, round(middle + half))
                pen.rectangle(box, fill=entry.colour, outline=INK)
            elif entry.style:
                line(pen, (left, middle), (left + _SAMPLE, middle), entry.colour, 3, entry.style)
            left += _sign_width(entry)
            pen.text((left, middle), text, font=face, fill=INK, anchor="lm")


def with_footer(image: NDArray[np.uint8], entries: Sequence[Entry], text: str) -> NDArray[np.uint8]:
    """An image with one line below it: a text, and as many entries as there is room for.

    Args:
        image: Shape (height, width, 3), BGR.
        entries: The entries.
        text: The text.

    Returns:
        An image of the same width. How much higher it is depends on that width alone, and is an even number.
    """
    from PIL import Image, ImageDraw

    width = image.shape[1]
    size = int(np.clip(width / 55, 10, 20))
    high = (_line_height(size) + 5) // 2 * 2
    strip = Image.new("RGB", (width, high), PAPER)
    rows = _rows([Entry(text, style=""), *entries], width - 2 * _EDGE, size)
    shown = [entry for entry, _, _ in rows[0]]
    draw_entries(
        ImageDraw.Draw(strip), (_EDGE, (high - _line_height(size)) / 2), shown, width - 2 * _EDGE, size
    )
    return np.concatenate([image, np.asarray(strip)[..., ::-1]])


def _sign_width(entry: Entry) -> int:
    return 0 if not entry.style else _SPACE + (_SWATCH if entry.style == "filled" else _SAMPLE)


def _line_height(size: int) -> int:
    return round(size * 1.7)
