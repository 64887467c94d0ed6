"""Images that two lakes share, and classes that differ between them."""

from __future__ import annotations

import numpy as np

from deeplake_mmdet.checking.images import ImageFacts
from deeplake_mmdet.checking.looks import find_alike
from deeplake_mmdet.checking.result import Finding
from deeplake_mmdet.lake import ExaminedLake

__all__ = ["leakage"]

_NAMED = 10


def leakage(
    first: ExaminedLake, second: ExaminedLake, images: ImageFacts, others: ImageFacts, *, decoded: bool
) -> list[Finding]:
    """Compare two lakes.

    Args:
        first: A lake, such as that of the training.
        second: Another one, such as that of the validation.
        images: Of the first.
        others: Of the second.
        decoded: Whether they were decoded, so that images that look alike can be found.

    Returns:
        Findings of the second lake.
    """
    if first.view is None or second.view is None:
        return []
    column, found = second.view.roles.img, list[Finding]()
    known, place = np.unique(images.hashes, return_index=True)
    at = np.searchsorted(known, others.hashes).clip(max=max(len(known) - 1, 0))
    same = (known[at] == others.hashes) & (others.hashes != 0)
    rows = np.flatnonzero(same)
    if len(rows):
        pairs = tuple(zip(rows[:_NAMED].tolist(), place[at[rows[:_NAMED]]].tolist(), strict=True))
        details = tuple(f"row {row} is row {twin} of the first lake" for row, twin in pairs)
        found.append(Finding("leak-same", len(rows), "images", 1, rows, column, details, pairs))
    mine, theirs = np.flatnonzero(images.comparable), np.flatnonzero(others.comparable & ~same)
    alike = find_alike(others.looks[theirs], images.looks[mine])
    near = np.flatnonzero(alike.match >= 0)
    if len(near):
        order = near[np.argsort(alike.distance[near], kind="stable")][:_NAMED]
        pairs = tuple((int(theirs[one]), int(mine[alike.match[one]])) for one in order)
        details = tuple(
            f"row {row} looks like row {twin} of the first lake ({alike.distance[one]} of 64 bits differ)"
            for one, (row, twin) in zip(order, pairs, strict=True)
        )
        found.append(Finding("leak-near", len(near), "images", 1, theirs[near], column, details, pairs))
    for number, (lake, own) in enumerate(((first, images), (second, others))):
        plain = np.flatnonzero((own.hashes != 0) & (own.states == 0) & ~own.comparable)
        if decoded and len(plain):
            where = None if lake.view is None else lake.view.roles.img
            found.append(Finding("image-plain", len(plain), "images", number, plain, where))
    if not decoded:
        found.append(Finding("look-skipped", 1, "searches", 1))
    if not alike.complete:
        found.append(Finding("look-unfinished", 1, "searches", 1))
    if first.has_annotations and second.has_annotations:
        found += _classes(first.view.lake_classes, second.view.lake_classes)
    return found


def _classes(first: tuple[str, ...], second: tuple[str, ...]) -> list[Finding]:
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
        Finding("classes-differ", len(ours ^ theirs) or len(second), "classes", 1, details=tuple(details))
    ]
