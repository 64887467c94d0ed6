"""Images that two lakes share, and classes that differ between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.images import ImageFacts
from deeplake_mmdet.checking.looks import Alike, find_alike
from deeplake_mmdet.checking.result import Finding
from deeplake_mmdet.lake import ExaminedLake

__all__ = ["leakage"]

_NAMED = 10


def leakage(
    first: ExaminedLake, second: ExaminedLake, images: ImageFacts, others: ImageFacts
) -> list[Finding]:
    """Compare two lakes.

    Args:
        first: A lake, such as that of the training.
        second: Another one, such as that of the validation.
        images: Of the first.
        others: Of the second.

    Returns:
        Findings of the second lake.
    """
    if first.view is None or second.view is None:
        return []
    name, column, found = str(second.source), second.view.roles.img, []
    known, place = np.unique(images.hashes, return_index=True)
    at = np.searchsorted(known, others.hashes).clip(max=max(len(known) - 1, 0))
    same = (known[at] == others.hashes) & (others.hashes != 0)
    rows = np.flatnonzero(same)
    if len(rows):
        pairs = zip(rows[:_NAMED].tolist(), place[at[rows[:_NAMED]]].tolist(), strict=True)
        details = tuple(f"row {row} is row {twin} of the first lake" for row, twin in pairs)
        found.append(Finding("leak-same", len(rows), "images", name, rows, column, details))
    mine, theirs = np.flatnonzero(images.comparable), np.flatnonzero(others.comparable & ~same)
    alike = find_alike(others.looks[theirs], images.looks[mine])
    near = np.flatnonzero(alike.match >= 0)
    if len(near):
        order = near[np.argsort(alike.distance[near], kind="stable")][:_NAMED]
        details = tuple(_told(alike, int(one), theirs, mine) for one in order)
        found.append(Finding("leak-near", len(near), "images", name, theirs[near], column, details))
    if not alike.complete:
        found.append(Finding("look-unfinished", 1, "searches", name))
    if first.has_annotations and second.has_annotations:
        found += _classes(name, first.view.lake_classes, second.view.lake_classes)
    return found


def _told(alike: Alike, one: int, theirs: NDArray[np.int64], mine: NDArray[np.int64]) -> str:
    twin, bits = int(mine[alike.match[one]]), int(alike.distance[one])
    return f"row {int(theirs[one])} looks like row {twin} of the first lake ({bits} of 64 bits differ)"


def _classes(name: str, first: tuple[str, ...], second: tuple[str, ...]) -> list[Finding]:
    if first == second:
        return []
    ours, theirs = set(first), set(second)
    details = [
        f"only in {where}: {', '.join(map(repr, sorted(only)[:20]))}" + (" ..." if len(only) > 20 else "")
        for where, only in (("the first", ours - theirs), ("the second", theirs - ours))
        if only
    ]
    details = details or ["the same names in another order"]
    return [
        Finding("classes-differ", len(ours ^ theirs) or len(second), "classes", name, details=tuple(details))
    ]
