"""Masks in data-infos: whether a lake can give them, and which of them are of use."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from deeplake_mmdet.dataset.backend import delivered_masks
from deeplake_mmdet.dataset.infos import DataInfos, Sightings
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import LakeView

__all__ = ["add_masks", "check_mask_column", "is_usable_mask"]

_log = logging.getLogger("deeplake_mmdet")


def check_mask_column(view: LakeView, loaders: Sequence[Any], *, as_stored: bool) -> None:
    """Refuse a lake that has no masks of the kind that a pipeline's steps load.

    Args:
        view: The lake.
        loaders: Steps that load masks; changed to load bitmaps if those are stored and ``as_stored``.
        as_stored: Whether steps that ask for polygons take pixels.

    Raises:
        ConfigError: It has no masks, or pixels where polygons are asked for.
    """
    column = view.columns.get(view.roles.gt_masks or "")
    if column is None:
        note = view.notes.get("gt_masks")
        raise ConfigError(
            "The pipeline asks for masks (with_mask=True), but this lake has no mask column, or several "
            "equally good ones" + (f". {note}" if note else ""),
            where=f"lake {view.source.url}, columns {', '.join(view.columns)}",
            advice="import with segmentations, name the column in tensors=dict(gt_masks=...), "
            "or use LoadAnnotations(with_mask=False)",
        )
    if column.kind == "binarymask" and as_stored:
        for step in loaders:
            step.poly2mask = True
    if column.kind == "binarymask" and not all(step.poly2mask for step in loaders):
        raise ConfigError(
            "The pipeline asks for polygons (poly2mask=False), but this lake's masks are pixels, which "
            "do not become polygons without loss",
            where=f"LoadAnnotations of the pipeline, column {column.name!r} of type {column}",
            advice="use LoadAnnotations(with_mask=True, poly2mask=True), name a column of polygons in "
            "tensors=dict(gt_masks=...), or say masks_as_stored=True",
        )


def add_masks(
    infos: DataInfos, info: dict[str, Any], index: int, sightings: Sightings, *, polygons: bool
) -> None:
    """Give each instance of a data-info its ``mask``, a COCO segmentation, or ``[]`` where there is none.

    Args:
        infos: The list that the data-info comes from.
        info: The data-info; changed in place.
        index: Its place in the list.
        sightings: Gets a mark for a row with masks that cannot be used; the first such row is logged.
        polygons: Whether only polygons can be used (``poly2mask=False``).
    """
    flawed = 0
    masks = infos.segmentations_of(index, delivered_masks(info["img_path"]))
    for instance, mask in zip(info["instances"], masks, strict=True):
        instance["mask"] = [] if mask is None else mask
        flawed += not instance["ignore_flag"] and not is_usable_mask(instance["mask"], not polygons)
    if not flawed:
        return
    row = int(infos.rows[index])
    first = not sightings.rows(Sightings.NO_USABLE_MASK)
    if sightings.add(row, Sightings.NO_USABLE_MASK) and first:
        _log.warning(
            f"Column {infos.view.roles.gt_masks!r}, row {row}: {flawed} objects have no mask that can be "
            "used (none, a polygon of less than three points, or run lengths where polygons are asked "
            "for) and are ignored in training, as in CocoDataset; further such rows are not logged"
        )


def is_usable_mask(mask: Any, poly2mask: bool) -> bool:
    """Whether stock ``LoadAnnotations`` uses a segmentation; it marks objects with any other as ignored.

    Args:
        mask: List of polygons, each a flat list of x, y in pixels; or an RLE dict of ``counts`` and ``size``.
        poly2mask: The step's setting: True makes bitmaps of polygons and of RLE, False takes polygons only.
    """
    if isinstance(mask, list):
        return any(len(part) >= 6 and len(part) % 2 == 0 for part in mask)
    if not poly2mask or not isinstance(mask, dict):
        return False
    return isinstance(mask.get("counts"), list | str) and mask.get("size") is not None
