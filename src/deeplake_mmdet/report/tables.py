"""Results as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["ClassRow", "class_table"]


class ClassRow(NamedTuple):
    """One class's result.

    Attributes:
        name: The class.
        objects: Number of its ground-truth objects.
        ap: Average precision over the IoU thresholds .50 to .95, in 0..1; nan or -1 where undefined.
        ap50: Average precision at IoU .50, likewise.
    """

    name: str
    objects: int
    ap: float
    ap50: float


def _defined(value: float) -> bool:
    return not math.isnan(value) and value >= 0


def _shown(value: float) -> str:
    return f"{value:.3f}" if _defined(value) else "–"


def _mean(values: Iterable[float]) -> float:
    kept = [value for value in values if _defined(value)]
    return sum(kept) / len(kept) if kept else math.nan


def class_table(rows: Iterable[ClassRow | tuple[str, int, float, float]], title: str | None = None) -> Table:
    """Lay out per-class results, with a last row for all classes.

    Args:
        rows: One (class, objects, AP, AP50) for each class, in the order to show. A class without objects
            has no AP: nan, or COCO's -1.
        title: Stands above the table.

    Returns:
        A table for ``rich.console.Console.print``. The row 'all' sums the objects and averages the APs that
        are defined, as COCO's mAP does.
    """
    from rich.markup import escape
    from rich.table import Table

    results = [ClassRow(*row) for row in rows]
    table = Table(title=title)
    table.add_column("class")
    for heading in ("objects", "AP", "AP50"):
        table.add_column(heading, justify="right")
    for row in results:
        table.add_row(escape(row.name), f"{row.objects:,}", _shown(row.ap), _shown(row.ap50))
    table.add_section()
    objects = sum(row.objects for row in results)
    overall = (_mean(row.ap for row in results), _mean(row.ap50 for row in results))
    table.add_row("all", f"{objects:,}", _shown(overall[0]), _shown(overall[1]), style="bold")
    return table
