"""The objects of some rows of a lake, and what a run has found there."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.browsing.judged import judged
from deeplake_mmdet.browsing.runs import Predicted, RunInView
from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake import LakeView

__all__ = ["FoundObjects", "RowObjects", "objects_of_rows"]


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """Predictions on one image from a score on.

    Attributes:
        boxes: (left, top, right, bottom) in pixels, shape (n, 4).
        labels: Index into `RunInView.names`, shape (n,).
        scores: Shape (n,).
        kinds: How each was judged, see `judged`; empty where there is no truth.
        masks: RLE dicts; None where the run has none, or they are not wanted.
        below: How many predictions of lower scores there are.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    kinds: list[str]
    masks: list[Any] | None
    below: int


@dataclass(frozen=True, eq=False)
class RowObjects:
    """Objects of one image.

    Attributes:
        row: Row number.
        name: Of the file; None if the lake has none.
        size: Height and width of the image, pixels; 0 where it cannot be decoded.
        boxes: (left, top, right, bottom) in pixels, shape (n, 4).
        labels: Index into the view's classes, shape (n,).
        flags: What else is said of each, e.g. ``'crowd'``.
        kinds: How each was judged, see `judged`; None without a run.
        masks: COCO segmentations; None where there are none, or they are not wanted.
        note: Why masks cannot be read, or that the run did not look at this row; usually empty.
        found: What the run has found; None without one.
    """

    row: int
    name: str | None
    size: tuple[int, int]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    flags: list[str]
    kinds: list[str] | None
    masks: list[Any] | None
    note: str
    found: FoundObjects | None


def objects_of_rows(
    view: LakeView, rows: Sequence[int], run: RunInView | None, score: float, *, masks: bool
) -> list[RowObjects]:
    """The objects of some rows, read in one call for each column.

    Args:
        view: The lake.
        rows: Row numbers, at least one.
        run: A run of predictions, if they are wanted.
        score: From which predictions count.
        masks: Whether masks are wanted.

    Raises:
        DeepLakeMMDetError: The lake cannot be read.
    """
    with ThreadPoolExecutor(3, "deeplake-mmdet-rows") as threads:  # each waits for a network
        named = threads.submit(view.file_names, rows)
        of_truth = masks and view.roles.gt_masks is not None
        cells = threads.submit(view.mask_cells, rows) if of_truth else None
        found = None if run is None else threads.submit(run.predictions, rows, masks=masks)
        names: Sequence[str | None] = named.result() or [None] * len(rows)
        predicted: Sequence[Predicted | None] = [None] * len(rows) if found is None else found.result()
        masked = [None] * len(rows) if cells is None else cells.result()
    told = zip(rows, names, predicted, masked, strict=True)
    without = "" if run is None else "The run has not predicted on this row"
    return [_of_row(view, *one, score=score, masks=of_truth, without=without) for one in told]


def _of_row(
    view: LakeView,
    row: int,
    name: str | None,
    predicted: Predicted | None,
    cell: Any,
    *,
    score: float,
    masks: bool,
    without: str,
) -> RowObjects:
    table, span = view.table, view.table.span(row)
    labels = np.asarray(view.labels[span], np.int64)
    keep = np.flatnonzero(labels >= 0)
    boxes, labels = table.xyxy(row)[keep], labels[keep]
    told = {"crowd": table.iscrowd, "difficult": table.difficult, "ignored": table.ignore}
    flags = {
        word: np.zeros(len(keep), bool) if values is None else np.asarray(values[span], bool)[keep]
        for word, values in told.items()
    }
    found, kinds = None, None
    if predicted is not None:
        kept = np.flatnonzero(predicted.scores >= score)
        some = predicted.boxes[kept], predicted.labels[kept], predicted.scores[kept]
        aside = flags["crowd"] | flags["difficult"]
        judgements = [""] * len(kept)
        if view.roles.gt_bboxes is not None:
            kinds, judgements = judged(
                boxes, labels, *some, aside=aside, crowd=flags["crowd"], min_score=score
            )
        own = None if predicted.masks is None else [predicted.masks[place] for place in kept.tolist()]
        found = FoundObjects(*some, judgements, own, len(predicted.scores) - len(kept))
    segmentations, note = None, without if predicted is None else ""
    if masks:
        try:
            whole = view.segmentations(row, cell)
            segmentations = [whole[place] for place in keep.tolist()]
        except DeepLakeMMDetError as error:
            note = error.what
    return RowObjects(
        row, name, (int(table.heights[row]), int(table.widths[row])), boxes, labels,
        [", ".join(word for word in flags if flags[word][place]) for place in range(len(keep))],
        kinds, segmentations, note, found,
    )  # fmt: skip
