"""Results as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from deeplake_mmdet.evaluation import ClassScore, Difference, Interval

__all__ = ["class_table", "difference_table", "interval_table"]


def _defined(value: float) -> bool:
    return not math.isnan(value) and value >= 0


def _shown(value: float) -> str:
    return f"{value:.3f}" if _defined(value) else "–"


def _mean(values: Iterable[float]) -> float:
    kept = [value for value in values if _defined(value)]
    return sum(kept) / len(kept) if kept else math.nan


def class_table(scores: Iterable[ClassScore], title: str | None = None) -> Table:
    """Lay out per-class results, with a last row for all classes.

    Args:
        scores: In the order to show. A class without objects has no AP: nan, or COCO's -1.
        title: Stands above the table.

    Returns:
        A table for ``rich.console.Console.print``. The row 'all' sums the objects and averages the APs that
        are defined, as COCO's mAP does.
    """
    from deeplake_mmdet.terminal import plain, table

    results = list(scores)
    made = table("class", title=title)
    for heading in ("objects", "AP", "AP50"):
        made.add_column(heading, justify="right")
    for row in results:
        made.add_row(plain(row.name), f"{row.objects:,}", _shown(row.ap), _shown(row.ap50))
    made.add_section()
    objects = sum(row.objects for row in results)
    overall = (_mean(row.ap for row in results), _mean(row.ap50 for row in results))
    made.add_row("all", f"{objects:,}", _shown(overall[0]), _shown(overall[1]), style="bold")
    return made


def difference_table(differences: Sequence[Difference]) -> Table:
    """Lay out how two files of predictions, A and B, differ by class; those beyond chance carry a star.

    Args:
        differences: In the order to show; the last, of all classes, is set apart.

    Returns:
        A table for ``rich.console.Console.print``.
    """
    from deeplake_mmdet.terminal import plain, table

    made = table("class")
    for heading in ("objects", "AP A", "AP B", "B - A", "95 % interval", "p", ""):
        made.add_column(heading, justify="right")
    for place, row in enumerate(differences, start=1):
        if place == len(differences):
            made.add_section()
        values = (row.difference, row.low, row.high, row.p)
        change, low, high, p = (f"{value:.3f}" if not math.isnan(value) else "–" for value in values)
        interval, star = f"{low} to {high}", "*" if row.beyond_chance else ""
        cells = (_shown(row.first), _shown(row.second), change, interval, p, star)
        made.add_row(plain(row.name), f"{row.objects:,}", *cells)
    return made


def interval_table(intervals: Sequence[Interval]) -> Table:
    """Lay out how far AP would move had other images been drawn.

    Args:
        intervals: In the order to show; the last, of all classes, is set apart.

    Returns:
        A table for ``rich.console.Console.print``.
    """
    from deeplake_mmdet.terminal import plain, table

    made = table("class")
    for heading in ("AP", "95 % interval"):
        made.add_column(heading, justify="right")
    for place, row in enumerate(intervals, start=1):
        if place == len(intervals):
            made.add_section()
        made.add_row(plain(row.name), _shown(row.ap), f"{_shown(row.low)} to {_shown(row.high)}")
    return made
