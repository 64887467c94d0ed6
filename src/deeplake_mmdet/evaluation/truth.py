"""From rows of lakes and what was found on them to flat arrays."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, get_rank
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, ConfigError
from deeplake_mmdet.evaluation.instances import Instances, spans
from deeplake_mmdet.evaluation.rle import compress, rle_areas
from deeplake_mmdet.evaluation.samples import Found, check_has_masks
from deeplake_mmdet.formats import Id
from deeplake_mmdet.lake import LakeView, find_view, source_category_ids

__all__ = [
    "Scope",
    "category_ids",
    "count_endless",
    "file_order",
    "image_ids",
    "one_list",
    "own_images",
    "scope_of",
    "stored_category_ids",
    "tell_endless",
    "truth_of",
]

_log = logging.getLogger("deeplake_mmdet")

_ROWS_AT_A_TIME = 64  # mask cells of pixels may be large
_IMAGES_AT_A_TIME = 128


@dataclass(frozen=True)
class Scope:
    """The images that are scored, each once, in the order in which COCOeval takes them.

    Attributes:
        found: Predictions by image, ordered by view key and image id.
        views: Their lakes by view key, in the same order.
        classes: Class names.
    """

    found: tuple[Found, ...]
    views: dict[str, LakeView]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.found)

    def numbers(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """A number for each image, shape (images,), the same in all processes and ascending.

        Args:
            keys: Of all views that are scored, in order.
        """
        places = {}
        for key, view in self.views.items():
            order = np.argsort(image_ids(view), kind="stable")
            places[key] = np.empty(len(order), np.int64)
            places[key][order] = np.arange(len(order))
        return np.array(
            [(keys.index(one.key) << 40) + places[one.key][one.row] for one in self.found], np.int64
        )

    def parts(self) -> Iterator[tuple[int, Scope]]:
        """The same images, some at a time, with the place of the first of them."""
        for start in range(0, len(self), _IMAGES_AT_A_TIME):
            found = self.found[start : start + _IMAGES_AT_A_TIME]
            keys = {one.key for one in found}
            yield start, replace(self, found=found, views={k: v for k, v in self.views.items() if k in keys})

    def truth(
        self, *, with_masks: bool = False, use_ignore: bool = False, all_classes: bool = False
    ) -> Instances:
        """Ground truth of all images.

        Areas are the lake's where it has them, else those of the masks, else those of the boxes.

        Args:
            with_masks: Whether masks are needed.
            use_ignore: Ignore objects flagged ``ignore``. pycocotools does not: it overwrites the flag by
                ``iscrowd``.
            all_classes: Take objects of classes that are not selected, too; labels are then those that the
                lake stores. So MMDetection counts fast proposals.

        Raises:
            ColumnError: Masks are needed and a lake has none.
            AnnotationError: Masks are needed and an object has none.
        """
        parts = []
        for number, (key, view) in enumerate(self.views.items()):
            rows = np.array([found.row for found in self.found if found.key == key], np.int64)
            first = sum(found.key in list(self.views)[:number] for found in self.found)
            part = truth_of(
                view, rows, first, with_masks=with_masks, use_ignore=use_ignore, all_classes=all_classes
            )
            parts.append(part)
        return parts[0] if len(parts) == 1 else _joined(parts)

    def predictions(self, *, with_masks: bool = False) -> Instances:
        """Predictions on all images; areas are those of the masks if these are scored, else of the boxes.

        Args:
            with_masks: Whether masks are scored.
        """
        counts = np.array([len(found.labels) for found in self.found], np.int64)
        xywh = self._boxes()
        images = np.repeat(np.arange(len(self.found)), counts)
        labels = _all((found.labels for found in self.found), np.int64)
        scores = [
            found.mask_scores if with_masks and found.mask_scores is not None else found.scores
            for found in self.found
        ]
        if not with_masks:
            areas = xywh[:, 2] * xywh[:, 3]
            return Instances(images, labels, xywh, areas, _all(scores, np.float64))
        masks = [mask for found in self.found for mask in found.masks or ()]
        sizes = np.array([_size(self.views[found.key], found.row) for found in self.found]).reshape(-1, 2)[
            images
        ]
        return Instances(images, labels, xywh, None, _all(scores, np.float64), masks=masks, sizes=sizes)

    def _boxes(self) -> NDArray[np.float64]:
        if any(found.xywh is not None for found in self.found):
            return _all((found.boxes_xywh() for found in self.found), np.float64).reshape(-1, 4)
        boxes = _all((found.boxes for found in self.found), np.float64).reshape(-1, 4)
        boxes[:, 2:] -= boxes[:, :2]
        return boxes


def scope_of(results: Iterable[Found], *, tell: bool = True) -> Scope:
    """Sort out what was evaluated: an image that comes twice (padding) counts once.

    Args:
        results: Predictions by image, in any order.
        tell: Whether to log boxes that reach to infinity.

    Raises:
        ConfigError: There are none, or their lakes differ in classes.
    """
    unique = {(found.key, found.row): found for found in results}
    if tell:
        tell_endless([count_endless(unique.values())])
    views = {key: find_view(key) for key in sorted({key for key, _ in unique})}
    names = one_list(views)
    ids = {key: image_ids(view) for key, view in views.items()}
    ordered = sorted(unique.values(), key=lambda one: (one.key, int(ids[one.key][one.row]), one.row))
    return Scope(tuple(ordered), views, names)


def one_list(keys: Iterable[str]) -> tuple[str, ...]:
    """The class names of lakes that are scored together.

    Args:
        keys: Of their views.

    Raises:
        ConfigError: There is no lake, or they differ.
    """
    views = list(map(find_view, keys))
    if not views:
        raise ConfigError(
            "There is nothing to score: no sample was evaluated", where="val_dataloader or test_dataloader"
        )
    for view in views:
        if view.classes != views[0].classes:
            raise ConfigError(
                "The lakes that are scored together have different classes",
                where=f"{views[0].source.url}: {views[0].classes}; {view.source.url}: {view.classes}",
                advice="give all of them the same metainfo=dict(classes=...)",
            )
    return views[0].classes


def own_images(results: Iterable[Found]) -> tuple[list[Found], list[str]]:
    """Those of this process's images that no process before it has, too; and the view keys of all.

    To be called by all processes together: padding makes some images come twice.

    Args:
        results: Predictions by image, of this process.
    """
    own: dict[str, dict[int, Found]] = {}
    for found in results:
        own.setdefault(found.key, {})[found.row] = found
    rows = {key: np.fromiter(some, np.int64, len(some)) for key, some in own.items()}
    everyone = all_gather_object(rows)
    for earlier in everyone[: get_rank()]:
        for key, taken in earlier.items():
            for row in np.intersect1d(taken, rows.get(key, [])).tolist():
                own[key].pop(row, None)
    keys = sorted({key for one in everyone for key in one})
    return [found for some in own.values() for found in some.values()], keys


def count_endless(results: Iterable[Found]) -> tuple[int, int, str]:
    """How many boxes reach to infinity, on how many images, and where the first of them is.

    Args:
        results: Of one process.
    """
    endless = [found for found in results if found.endless]
    first = f"row {endless[0].row} of lake {find_view(endless[0].key).source.url}" if endless else ""
    return sum(found.endless for found in endless), len(endless), first


def tell_endless(counts: Iterable[tuple[int, int, str]]) -> None:
    """Log what `count_endless` has found in all processes, if anything.

    Args:
        counts: From `count_endless`, of each process.
    """
    if some := [count for count in counts if count[0]]:
        boxes, images = sum(count[0] for count in some), sum(count[1] for count in some)
        _log.warning(
            f"{boxes} predicted boxes on {images} images reach to infinity, the first on {some[0][2]}. "
            "They are scored as boxes that overlap with nothing. A head that is not trained yet may "
            "overflow; in a trained one it is a fault."
        )


def image_ids(view: LakeView) -> NDArray[np.int64]:
    """The lake's own number of each row's image, else the row number.

    It orders images as COCO's evaluation does. Where the source has ids of another kind, `image_id` of the
    table gives them.

    Args:
        view: The lake.
    """
    ids = view.table.img_ids
    return np.arange(len(view.table)) if ids is None else np.asarray(ids, np.int64)


def category_ids(view: LakeView) -> list[Id]:
    """The category id of each class of a view, as its source has it, else its stored label + 1.

    Args:
        view: The lake.
    """
    own = stored_category_ids(view)
    return [own[label] for label in _stored_labels(view).tolist()]


def stored_category_ids(view: LakeView) -> list[Id]:
    """The category id of each class of a lake, by stored label, as its source has it, else label + 1.

    Args:
        view: The lake.
    """
    count = len(view.lake_classes)
    labels = view.roles.gt_labels
    own = None if labels is None else source_category_ids(view.columns[labels], count) or view.category_ids
    return list(own) if own else list(range(1, count + 1))


def file_order(key: str) -> NDArray[np.int64]:
    """The place of each class of a view in the order of its lake, shape (K,).

    Args:
        key: A lake's view key.
    """
    return np.argsort(np.argsort(_stored_labels(find_view(key))))


def _stored_labels(view: LakeView) -> NDArray[np.int64]:
    return np.array([view.lake_classes.index(name) for name in view.classes], np.int64)


def truth_of(
    view: LakeView,
    rows: NDArray[np.int64],
    first: int = 0,
    *,
    with_masks: bool = False,
    use_ignore: bool = False,
    all_classes: bool = False,
    with_areas: bool = True,
) -> Instances:
    """The objects of some rows of a lake.

    Args:
        view: The lake.
        rows: Row numbers, shape (n,), int64.
        first: Number of the first row's image.
        with_masks, use_ignore, all_classes: See `Scope.truth`.
        with_areas: Whether areas count; those of masks have to be read from the lake. Without, all are 1.

    Raises:
        ColumnError, AnnotationError: See `Scope.truth`.
    """
    table = view.table
    offsets = np.asarray(table.offsets)
    counts = offsets[rows + 1] - offsets[rows]
    places = np.repeat(offsets[rows], counts) + spans(counts)
    images = np.repeat(np.arange(first, first + len(rows)), counts)
    xywh = _all((table.xywh(row) for row in rows[counts > 0].tolist()), np.float64).reshape(-1, 4)
    labels = np.asarray((table if all_classes else view).labels[places], np.int64)
    keep = np.flatnonzero(labels >= 0)

    def flags(values: Any) -> NDArray[np.bool_]:
        return np.zeros(len(keep), bool) if values is None else np.asarray(values[places][keep], bool)

    ignore = flags(table.difficult)
    if use_ignore:
        ignore |= flags(table.ignore)
    masks, sizes = None, None
    areas: NDArray[np.float64] = np.ones(len(xywh))
    if with_areas:
        stated = None if table.areas is None else table.areas[places]
        areas = xywh[:, 2] * xywh[:, 3] if stated is None else np.asarray(stated, np.float64)
    areas = areas[keep]
    of_masks = with_areas and table.areas is None
    if with_masks or (of_masks and view.roles.gt_masks is not None):
        masks = _truth_masks(view, rows, keep, needed=with_masks)
        owners = np.repeat(rows, counts)[keep]
        sizes = np.stack([table.heights[owners], table.widths[owners]], axis=1).astype(np.int64)
        if of_masks:
            filled = np.array([mask is not None for mask in masks], bool)
            areas[filled] = rle_areas([mask for mask in masks if mask is not None], sizes[filled])
    return Instances(
        images[keep], labels[keep], xywh[keep], areas, iscrowd=flags(table.iscrowd), ignore=ignore,
        masks=masks if with_masks else None, sizes=sizes if with_masks else None,
    )  # fmt: skip


def _truth_masks(
    view: LakeView, rows: NDArray[np.int64], keep: NDArray[np.int64], *, needed: bool
) -> list[Any]:
    check_has_masks(view)
    kept = np.zeros(int(keep.max(initial=-1)) + 1, bool)
    kept[keep] = True
    masks: list[Any] = []
    place = 0
    for row, cell in _with_mask_cells(view, rows.tolist()):
        span = view.table.span(row)
        inside = kept[place : place + span.stop - span.start]
        place += span.stop - span.start
        if not inside.any():
            continue
        height, width = _size(view, row)
        for segmentation, wanted in zip(view.segmentations(row, cell), inside.tolist(), strict=False):
            if not wanted:
                continue
            try:
                masks.append(compress(segmentation, height, width))
            except (ValueError, KeyError, TypeError) as error:
                if needed:
                    raise AnnotationError(
                        f"An object's mask cannot be scored: {error}",
                        where=f"lake {view.source.url}, column {view.roles.gt_masks!r}, row {row}",
                        advice="repair the row, leave it out with query=, or use metric='bbox'",
                    ) from None
                masks.append(None)
    return masks


def _with_mask_cells(view: LakeView, rows: list[int]) -> Iterator[tuple[int, Any]]:
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        some = rows[start : start + _ROWS_AT_A_TIME]
        yield from zip(some, view.mask_cells(some), strict=True)


def _size(view: LakeView, row: int) -> tuple[int, int]:
    return int(view.table.heights[row]), int(view.table.widths[row])


def _joined(parts: Sequence[Instances]) -> Instances:
    def column(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    masks = None if parts[0].masks is None else [mask for part in parts for mask in part.masks or ()]
    names = ("images", "labels", "xywh", "areas", "scores", "iscrowd", "ignore", "sizes")
    return Instances(**{name: column(name) for name in names}, masks=masks)


def _all(parts: Iterable[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    listed = list(parts)
    return np.concatenate(listed).astype(dtype, copy=False) if listed else np.zeros(0, dtype)
