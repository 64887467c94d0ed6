"""Lines, texts and little signs of pictures, so that all pictures look alike."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.report.palette import RGB
from deeplake_mmdet.terminal import readable

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["DASHES", "INK", "PAPER", "SEAM", "drawable", "font", "frame", "line", "shortened"]

PAPER, INK, SEAM = (255, 255, 255), (40, 40, 40), (20, 20, 20)
#: Lengths of stroke and gap in widths of the line; none for a line without gaps.
DASHES: dict[str, tuple[float, float] | None] = {"solid": None, "dashed": (5.0, 3.0), "dotted": (1.0, 1.6)}


@cache
def font(size: int, bold: bool = False) -> Any:
    """A font of a size in pixels, the same on a machine without fonts: matplotlib brings it.

    Args:
        size: Pixels.
        bold: Whether it is bold.
    """
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(font(12).path).get_charmap())


def drawable(text: object) -> str:
    """A text in one line, with a sign in the place of letters that the font lacks.

    Args:
        text: Anything; its ``str`` counts.
    """
    known = _glyphs()
    return "".join(letter if ord(letter) in known else "\ufffd" for letter in readable(text))


def shortened(text: str, face: Any, width: float) -> str:
    """A text cut to a width, with an ellipsis at its end if something is missing; empty if nothing fits.

    Args:
        text: The text.
        face: Its font.
        width: Pixels.
    """
    if face.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.getlength(text[:middle] + "…") <= width else (low, middle - 1)
    return f"{text[:low].rstrip()}…" if low else ""


def line(
    pen: ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: RGB,
    width: int = 1,
    style: str = "solid",
) -> None:
    """Draw a line.

    Args:
        pen: Draws it.
        start: Where it begins, pixels.
        end: Where it ends, pixels.
        colour: Of it.
        width: Pixels.
        style: Of `DASHES`.
    """
    dash = DASHES[style]
    if dash is None:
        pen.line((*start, *end), fill=colour, width=width)
        return
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    stroke, gap = (part * max(width, 2) for part in dash)
    count = max(1, round(length / (stroke + gap)))
    for number in range(count):  # a stroke at both ends
        period = (length + gap) / count
        low, high = number * period, min(number * period + period - gap, length)
        at = [
            tuple(start[axis] + (end[axis] - start[axis]) * way / max(length, 1e-9) for axis in (0, 1))
            for way in (low, high)
        ]
        pen.line((*at[0], *at[1]), fill=colour, width=width)


def frame(
    pen: ImageDraw, box: tuple[float, float, float, float], colour: RGB, width: int, style: str = "solid"
) -> None:
    """Draw a rectangle's four sides, inside of it.

    Args:
        pen: Draws it.
        box: (left, top, right, bottom), pixels, inclusive.
        colour: Of it.
        width: Of its lines, pixels.
        style: Of `DASHES`.
    """
    left, top, right, bottom = box
    if style == "solid":
        pen.rectangle(box, outline=colour, width=max(1, min(width, int(min(right - left, bottom - top)) + 1)))
        return
    inset = (width - 1) / 2
    left, top, right, bottom = left + inset, top + inset, right - inset, bottom - inset
    for start, end in (
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
    ):
        line(pen, start, end, colour, width, style)
