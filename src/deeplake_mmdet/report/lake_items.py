"""Rows of a lake as items of a mosaic: image, truth with masks, and what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplake_mmdet.errors import DeepLakeMMDetError, ImageError
from deeplake_mmdet.evaluation.rle import compress
from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.report.mosaic import MosaicItem
from deeplake_mmdet.transfer.decoder import decode

__all__ = ["Predicted", "lake_item", "lake_items"]

_GREY = 128  # of an image that cannot be decoded


class Predicted(NamedTuple):
    """What was found on one image: boxes xyxy in pixels (m, 4), labels (m,), scores (m,), perhaps masks."""

    boxes: ArrayLike = ()
    labels: ArrayLike = ()
    scores: ArrayLike = ()
    masks: Sequence[Any] | None = None


def lake_items(
    view: LakeView,
    rows: Sequence[int],
    found: Sequence[Predicted] | None = None,
    *,
    captions: Sequence[str] | None = None,
    label_map: NDArray[np.int64] | None = None,
) -> list[MosaicItem]:
    """Items of some rows.

    Args:
        view: The lake.
        rows: Row numbers.
        found: What was predicted on each; None for nothing.
        captions: Of each; None for the name of the image's file, else the row's number.
        label_map: The label to show for each class of the view, shape (classes,); None for the same.

    Raises:
        StorageError: The lake cannot be read.
    """
    if not rows:
        return []
    images = view.fetch(list(rows))
    names = view.file_names(list(rows)) if captions is None else None
    told = captions or [(names[place] if names else "") or f"row {row}" for place, row in enumerate(rows)]
    items = []
    for place, row in enumerate(rows):
        predicted = Predicted() if found is None else found[place]
        items.append(lake_item(view, row, images[place], predicted, told[place], label_map))
    return items


def lake_item(
    view: LakeView,
    row: int,
    image: bytes | ImageError | NDArray[np.uint8],
    predicted: Predicted,
    caption: str,
    label_map: NDArray[np.int64] | None = None,
) -> MosaicItem:
    """The item of one row, with the lake's truth.

    Args:
        view: The lake.
        row: Its number.
        image: The encoded image, or its pixels (height, width, 3), BGR; a grey one stands in for an error.
        predicted: What was found on it.
        caption: Stands below it.
        label_map: See `lake_items`.
    """
    span = view.table.span(row)
    labels = np.asarray(view.labels[span], np.int64)
    kept = labels >= 0

    def flags(values: Any) -> NDArray[np.bool_]:
        return np.zeros(int(kept.sum()), bool) if values is None else np.asarray(values[span], bool)[kept]

    crowd = flags(view.table.iscrowd)
    masks = _masks(view, row)
    size = int(view.table.heights[row]), int(view.table.widths[row])
    return MosaicItem(
        _pixels(image, size),
        np.asarray(view.table.xyxy(row), np.float64).reshape(-1, 4)[kept],
        labels[kept] if label_map is None else label_map[labels[kept]],
        *predicted[:3],
        caption,
        None
        if masks is None
        else [mask for mask, wanted in zip(masks, kept.tolist(), strict=True) if wanted],
        predicted.masks,
        crowd | flags(view.table.difficult),
        crowd,
    )


def _pixels(image: bytes | ImageError | NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if isinstance(image, bytes):
        try:
            return decode(image)
        except ImageError as error:
            image = error
    if isinstance(image, ImageError):
        return np.full((max(size[0], 1), max(size[1], 1), 3), _GREY, np.uint8)
    return image


def _masks(view: LakeView, row: int) -> list[Any] | None:
    """Run lengths of a row's objects, None for one whose mask cannot be used."""
    span = view.table.span(row)
    if view.roles.gt_masks is None or span.stop == span.start:
        return None
    size = int(view.table.heights[row]), int(view.table.widths[row])
    try:
        found = view.segmentations(row)
    except DeepLakeMMDetError:  # the boxes can still be shown
        return None
    masks: list[Any] = []
    for segmentation in found:
        try:
            masks.append(compress(segmentation, *size))
        except (ValueError, KeyError, TypeError):
            masks.append(None)
    return masks
