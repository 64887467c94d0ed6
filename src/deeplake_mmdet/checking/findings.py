"""From what was read to findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.annotations import AnnotationFacts, counted
from deeplake_mmdet.checking.images import MISSING, NO_SIZE, ImageFacts
from deeplake_mmdet.checking.kinds import ROW_FAULTS
from deeplake_mmdet.checking.masks import read_masks
from deeplake_mmdet.checking.result import Finding
from deeplake_mmdet.lake import ExaminedLake, LakeView

__all__ = ["findings_of", "mask_findings", "repeated"]

_GROUPS = 10  # of repeated images, that are named


def findings_of(
    number: int,
    lake: ExaminedLake,
    annotations: AnnotationFacts,
    images: ImageFacts,
    classes: Sequence[tuple[str, int, int]],
) -> list[Finding]:
    """All findings of one lake but those of its masks.

    Args:
        number: 0, or 1 if it is the second lake.
        lake: The lake.
        annotations: Of its boxes.
        images: Of its images.
        classes: Name, boxes and images of each class.
    """
    view = lake.view
    if view is None:
        return [Finding("no-rows", 1, "lakes", number)]
    found = []
    if not lake.has_annotations and not lake.is_annotated:
        found.append(Finding("no-annotations", 1, "lakes", number))
    elif lake.problem is not None:
        found.append(Finding("unusable", 1, "lakes", number, details=(str(lake.problem),)))
    for reason, kind in ROW_FAULTS.items():
        if reason in lake.faults.rows:
            rows = np.flatnonzero(lake.faults.rows[reason])
            details = counted(lake.faults.unknown) if kind == "label-unknown" else ()
            found.append(Finding(kind, len(rows), "rows", number, rows, details=details))
    boxes = view.roles.gt_bboxes
    for kind, count in annotations.faults.counts.items():
        found.append(Finding(kind, count, "boxes", number, annotations.faults.rows(kind), boxes))
    if lake.has_annotations and (unused := [label for label, count, _ in classes if not count]):
        details = tuple(map(repr, unused[:20])) + (
            (f"and {len(unused) - 20} more",) if len(unused) > 20 else ()
        )
        found.append(
            Finding(
                "class-unused", len(unused), "classes", number, column=view.roles.gt_labels, details=details
            )
        )
    misfits = [note for role, note in view.notes.items() if role in view.left_out]
    notes = [note for role, note in view.notes.items() if role not in (*view.left_out, "classes")]
    for kind, told in (("column-misfit", misfits), ("column-unused", notes)):
        if told:
            found.append(Finding(kind, len(told), "columns", number, details=tuple(told)))
    return found + _of_images(number, lake, view, images, annotations.signatures)


def mask_findings(number: int, view: LakeView) -> list[Finding]:
    """Read all masks of a lake.

    Args:
        number: 0, or 1 if it is the second lake.
        view: The lake.

    Raises:
        StorageError: The lake cannot be read.
    """
    faults, details = read_masks(view)
    told = {"mask-unreadable": tuple(details)}
    units = {"mask-unreadable": "rows", "mask-none": "objects", "mask-misfit": "masks"}
    column = view.roles.gt_masks
    return [
        Finding(kind, count, units[kind], number, faults.rows(kind), column, told.get(kind, ()))
        for kind, count in faults.counts.items()
    ]


def _of_images(
    number: int, lake: ExaminedLake, view: LakeView, images: ImageFacts, signatures: NDArray[np.uint64]
) -> list[Finding]:
    column = view.roles.img
    faulty = lake.faults.any()
    # Sizes of rows with faulty annotations were not read.
    for row in np.flatnonzero((view.table.widths == 0) & (images.states == 0) & ~faulty).tolist():
        images.blame(row, NO_SIZE, "")
    found = []

    def add(kind: str, rows: NDArray[np.int64], unit: str = "images", details: Sequence[str] = ()) -> None:
        if len(rows):
            found.append(Finding(kind, len(rows), unit, number, rows, column, tuple(details)))

    broken = [reason for reason in images.reasons[1:] if reason != MISSING]
    if MISSING in images.reasons:
        add("image-missing", images.rows_of(MISSING), "rows")
    if broken:
        rows = np.sort(np.concatenate([images.rows_of(reason) for reason in broken]))
        details = [
            f"{len(images.rows_of(reason))}: {reason} ({'; '.join(images.details[reason])})"
            for reason in broken
        ]
        add("image-undecodable", rows, details=details)
    add("image-size", np.flatnonzero(images.odd_sizes))
    tagged = images.orientations != 1
    turned = np.broadcast_to(np.asarray(view.turning), len(tagged))
    add("image-turned", np.flatnonzero(tagged & turned))
    if view.roles.exif_turned is None and view.apply_exif is False:
        add("image-exif", np.flatnonzero(tagged))
    again, groups = repeated(images.hashes)
    first = _firsts(images.hashes)
    same = signatures[again] == signatures[first[again]]
    for kind, chosen in (("image-duplicate", again[same]), ("image-contradiction", again[~same])):
        own = set(chosen.tolist())
        add(kind, chosen, details=[text for text, rows in groups if own & rows])
    return found


def repeated(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], list[tuple[str, set[int]]]]:
    """Rows whose image was there before.

    Args:
        hashes: Of the files, shape (n,); 0 where there is none.

    Returns:
        Their numbers, ascending, without the first row of each image; and the first groups, in words and as
        row numbers.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    same = (
        np.concatenate([[False], (ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)])
        if len(order)
        else ordered > 0
    )
    again = np.sort(order[same])
    groups: list[tuple[str, set[int]]] = []
    for value in dict.fromkeys(hashes[again[: _GROUPS * 4]].tolist()):
        begin, end = (int(np.searchsorted(ordered, np.uint64(value), side)) for side in ("left", "right"))
        rows = np.sort(order[begin:end])
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        groups.append((f"rows {', '.join(map(str, rows[:5].tolist()))}{more}", set(rows[:1000].tolist())))
        if len(groups) == _GROUPS:
            break
    return again, groups


def _firsts(hashes: NDArray[np.uint64]) -> NDArray[Any]:
    """The first row with the same hash, for each row."""
    _, first, back = np.unique(hashes, return_index=True, return_inverse=True)
    return first[back]
