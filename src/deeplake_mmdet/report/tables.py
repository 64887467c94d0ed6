"""Results as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from deeplake_mmdet.evaluation import ClassScore, Difference, Interval

__all__ = ["class_table", "difference_table", "interval_table", "score_tables"]

_HEADINGS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "small",
    "ap_medium": "medium",
    "ap_large": "large",
}
_ENDINGS = {  # of the keys of metrics that are means of these
    "ap": "_mAP",
    "ap50": "_mAP_50",
    "ap75": "_mAP_75",
    "ap_small": "_mAP_s",
    "ap_medium": "_mAP_m",
    "ap_large": "_mAP_l",
}
_NO_SCORES = ("time", "data_time")
_WIDE = 78  # columns of a terminal


def _defined(value: float) -> bool:
    return not math.isnan(value) and value >= 0


def _shown(value: float) -> str:
    return f"{value:.3f}" if _defined(value) else "–"


def _mean(values: Iterable[float]) -> float:
    kept = [value for value in values if _defined(value)]
    return sum(kept) / len(kept) if kept else math.nan


def class_table(
    scores: Iterable[ClassScore], title: str | None = None, columns: Iterable[str] = ("ap", "ap50")
) -> Table:
    """Lay out per-class results, with a last row for all classes.

    Args:
        scores: In the order to show. A class without objects has no AP: nan, or COCO's -1.
        title: Stands above the table.
        columns: Which values to show, by the names that they have in `ClassScore`.

    Returns:
        A table for ``rich.console.Console.print``. The row 'all' sums the objects and averages the APs that
        are defined, as COCO's mAP does.
    """
    from deeplake_mmdet.terminal import plain, table

    results, shown = list(scores), list(columns)
    made = table("class", title=title)
    for heading in ("objects", *(_HEADINGS[name] for name in shown)):
        made.add_column(heading, justify="right")
    for row in results:
        values = (_shown(getattr(row, name)) for name in shown)
        made.add_row(plain(row.name), f"{row.objects:,}", *values)
    made.add_section()
    objects = sum(row.objects for row in results)
    overall = (_shown(_mean(getattr(row, name) for row in results)) for name in shown)
    made.add_row("all", f"{objects:,}", *overall, style="bold")
    return made


def score_tables(
    metrics: Mapping[str, float], scores: Iterable[ClassScore] = (), *, width: int = 100
) -> list[Table]:
    """Lay out the scores of an evaluation so that each is told once: by class and of all, then the others.

    Args:
        metrics: Results by key, e.g. ``coco/bbox_mAP``.
        scores: By class; empty if there are none.
        width: Columns of the terminal; a narrow one gets the values by size below each other.

    Returns:
        A table of the classes, if there are any, and one of the scores that are not in it, if there are any.
    """
    from deeplake_mmdet.terminal import plain, table

    results = list(scores)
    names = ("ap", "ap50", "ap75", *(("ap_small", "ap_medium", "ap_large") if width >= _WIDE else ()))
    shown = [
        name
        for place, name in enumerate(names)
        if place < 2 or any(_defined(getattr(row, name)) for row in results)
    ]
    overall = {_ENDINGS[name]: _mean(getattr(row, name) for row in results) for name in shown}
    by_class = {f"{row.name}_precision": row.ap for row in results}
    rest, named = {}, ""
    for key, value in metrics.items():
        if key.startswith(_NO_SCORES):
            continue
        short = key.rpartition("/")[2]
        ending = next((end for end in _ENDINGS.values() if short.endswith(end)), "")
        known = overall.get(ending, by_class.get(short))
        if results and known is not None and _same(known, value):
            named = named or (key if ending == "_mAP" else "")
        else:
            rest[key] = value
    made = []
    if results:
        made.append(class_table(results, f"AP: {named}" if named else None, shown))
    if rest:
        others = table("score" if not results else "other scores")
        others.add_column("value", justify="right")
        for key, value in rest.items():
            others.add_row(plain(key), f"{value:.4f}")
        made.append(others)
    return made


def _same(one: float, other: float) -> bool:
    if not _defined(one) or not _defined(other):
        return _defined(one) == _defined(other)
    return math.isclose(one, other, abs_tol=1e-9)


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
