"""Charts by matplotlib, all made and saved in one way, without its global state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deeplake_mmdet.report.palette import RGB
from deeplake_mmdet.report.strokes import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bars", "chart_text", "new_figure", "rgb", "save_figure", "say_nothing"]

_DPI = 110
_NAME = 28  # letters of a name


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that lays out its parts by itself.

    Args:
        width: Inches.
        height: Inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, out: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, or as SVG by the file's ending.

    Args:
        figure: From `new_figure`.
        out: The file; its folder is made where missing.

    Returns:
        Its path.
    """
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, format="svg" if path.suffix.lower() == ".svg" else "png")
    return path


def chart_text(text: object, letters: int = _NAME) -> str:
    """A text for a chart: one line, cut to some letters, no formula, and no letter that the font lacks.

    Args:
        text: Anything; its ``str`` counts.
        letters: How many at most.
    """
    shown = drawable(text)
    return (shown if len(shown) <= letters else f"{shown[: letters - 1]}…").replace("$", r"\$")


def rgb(colour: RGB) -> tuple[float, float, float]:
    """A colour as matplotlib takes it.

    Args:
        colour: Red, green and blue, 0 to 255.
    """
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


def say_nothing(axes: Axes, text: str) -> None:
    """Write why a chart is empty.

    Args:
        axes: The chart.
        text: Why.
    """
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="#666666")
    axes.set_axis_off()


def bars(axes: Axes, names: Sequence[str], values: Sequence[float], colours: Sequence[RGB]) -> None:
    """Horizontal bars with their values behind them, from top to bottom.

    Args:
        axes: The chart.
        names: Of the bars.
        values: Their lengths.
        colours: Their colours.
    """
    places = np.arange(len(names))
    drawn = axes.barh(places, values, 0.8, color=[rgb(colour) for colour in colours])
    axes.bar_label(drawn, [f"{value:,}" for value in values], padding=3, fontsize=8)
    axes.set_yticks(places, [chart_text(name) for name in names], fontsize=8)
    axes.set_ylim(max(len(names), 5) - 0.4, -0.6)
    axes.set_xlim(0, max([*values, 1]) * 1.18)
    axes.spines[["top", "right"]].set_visible(False)
