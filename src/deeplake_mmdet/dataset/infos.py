"""Data-infos made on demand from an annotation table, and what reading samples brings to light."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from inspect import signature
from itertools import compress
from typing import Any

import numpy as np
import torch
from mmdet.datasets import BaseDetDataset
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, ImageError, listed, readable
from deeplake_mmdet.lake import (
    UNREAD,
    CacheSettings,
    ChunkCache,
    LakeView,
    clean_boxes,
    explain_roles,
    human_bytes,
    is_local,
    new_counters,
)
from deeplake_mmdet.terminal import DETAIL

__all__ = [
    "DataInfos",
    "HeadStart",
    "Sightings",
    "clean_data_infos",
    "log_choices",
    "take_out_files",
    "tell_left_out",
    "with_cache",
]

_log = logging.getLogger("deeplake_mmdet")

# What stock datasets of files are given, and a lake makes pointless.
_OF_FILES = (
    *("ann_file", "data_root", "data_prefix"),
    *("label_file", "meta_file", "hierarchy_file", "image_level_ann_file", "label_map_file", "need_text"),
    *("extra_ann_file", "img_subdir", "ann_subdir", "seg_map_suffix", "specific_key_path", "pre_transform"),
    *("with_bbox", "with_mask", "with_polygon", "with_imagelevel_label", "with_hierarchy"),
)


class DataInfos(Sequence[dict[str, Any]]):
    """MMDetection's list of data-infos, made on demand from the annotation table.

    Args:
        view: The lake.
        rows: Row numbers, shape (n,), int64: entry i describes row ``rows[i]``.
        keep: Which boxes of the table take part, shape (m,), bool.
        ignored: Which of them are to be ignored (crowds, difficult ones), shape (m,), bool.
        extra: Entries added to every data-info.
    """

    def __init__(
        self,
        view: LakeView,
        rows: NDArray[np.int64],
        keep: NDArray[np.bool_],
        ignored: NDArray[np.bool_],
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.view = view
        self.rows = rows
        self.keep = keep
        self.ignored = ignored
        self.extra = dict(extra or {})

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _all_kept(self) -> bool:
        return bool(self.keep.all())

    @property
    def has_objects(self) -> bool:
        """Whether any box of the lake takes part in training."""
        return bool((self.keep & ~self.ignored).any())

    def select(self, chosen: Any) -> DataInfos:
        """A list of some of the entries only.

        Args:
            chosen: Anything that indexes a NumPy array of shape (n,) and gives an array: a slice, an array of
                indices, or an array of bool.
        """
        return DataInfos(self.view, self.rows[chosen], self.keep, self.ignored, self.extra)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.select(index)
        view, table, row = self.view, self.view.table, self.rows.item(index)
        span = table.span(row)
        boxes: Iterable[list[float]] = table.corners(row)
        labels, ignored = view.labels[span], self.ignored[span]
        if not self._all_kept:
            keep = self.keep[span]
            boxes, labels, ignored = compress(boxes, keep.tolist()), labels[keep], ignored[keep]
        return {
            "img_path": view.uri(row),
            "img_id": table.image_id(row),
            "seg_map_path": None,
            "height": table.heights.item(row),
            "width": table.widths.item(row),
            "instances": [
                {"bbox": box, "bbox_label": label, "ignore_flag": int(flag)}
                for box, label, flag in zip(boxes, labels.tolist(), ignored.tolist(), strict=True)
            ],
            **self.extra,
        }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def labels_of(self, index: int) -> list[int]:
        """Class indices of the boxes of one entry, without those that were cleaned away.

        Args:
            index: Place in this list.
        """
        span = self.view.table.span(int(self.rows[index]))
        return list(self.view.labels[span][self.keep[span]].tolist())

    def segmentations_of(self, index: int, cell: Any = UNREAD) -> list[Any]:
        """COCO segmentations of the boxes of one entry, in the order of its ``instances``.

        Args:
            index: Place in this list.
            cell: The row's mask cell, if it has been fetched; ``UNREAD`` to fetch it from the lake.

        Returns:
            Per box a list of polygons (flat lists of x, y in pixels), an RLE dict, or None if it has no mask.

        Raises:
            ConfigError: The lake has no mask column.
        """
        row = int(self.rows[index])
        keep = self.keep[self.view.table.span(row)]
        return [mask for mask, kept in zip(self.view.segmentations(row, cell), keep, strict=True) if kept]


@dataclass(eq=False, slots=True)
class HeadStart:
    """A sample that has been begun: its data-info is made, and perhaps its first pipeline steps have run.

    Attributes:
        index: Its index in the dataset.
        uri: ``deeplake://`` address of its image.
        pipeline: The pipeline it was begun with.
        count: Number of the pipeline's leading steps that have run.
        results: The sample's dict after those steps; None if one of them gave None.
    """

    index: int
    uri: str
    pipeline: Any
    count: int
    results: dict[str, Any] | None


class Sightings:
    """Rows that turned out to be flawed when they were read; one byte for each row of the lake.

    The marks lie in memory that worker processes share, so that the process that started them knows what
    they met.

    Args:
        rows: Number of rows of the lake.
    """

    UNDECODABLE = 1
    NO_USABLE_MASK = 2

    def __init__(self, rows: int) -> None:
        self._marks = torch.zeros(rows, dtype=torch.uint8)
        self._marks.share_memory_()  # type: ignore[no-untyped-call]

    def __deepcopy__(self, memo: dict[int, Any]) -> Sightings:
        return self  # a subset reads the same rows

    def has(self, row: int, mark: int) -> bool:
        """Whether a row bears a mark.

        Args:
            row: Row number of the lake.
            mark: ``UNDECODABLE`` or ``NO_USABLE_MASK``.
        """
        return bool(int(self._marks[row]) & mark)

    def add(self, row: int, mark: int) -> bool:
        """Mark a row.

        Args:
            row: Row number of the lake.
            mark: ``UNDECODABLE`` or ``NO_USABLE_MASK``.

        Returns:
            Whether the mark is new: False if the row bore it already.
        """
        if self.has(row, mark):
            return False
        self._marks[row] |= mark
        return True

    def rows(self, mark: int) -> list[int]:
        """Numbers of the rows that bear a mark, ascending.

        Args:
            mark: ``UNDECODABLE`` or ``NO_USABLE_MASK``.
        """
        return list(torch.nonzero(self._marks & mark).flatten().tolist())


def log_choices(view: LakeView, tensors: Mapping[str, Any], *, stored_sizes: bool) -> None:
    """Log which columns serve which roles, and as a warning which ones look like one but do not serve.

    Args:
        view: The lake.
        tensors: The columns that were named, by role.
        stored_sizes: Whether image sizes are wanted as stored.
    """
    explained = explain_roles(view.columns, tensors, stored_sizes=stored_sizes, left_out=view.left_out)
    _log.info(readable(explained, lines=True), extra=DETAIL)
    for role, note in view.notes.items():
        if role != "gt_masks":  # matters where masks are asked for, and is told there
            _log.warning(readable(f"{view.source.url}: {note}"))


def clean_data_infos(
    view: LakeView, bbox_min_size: float | None, extra: Mapping[str, Any], *, training: bool
) -> DataInfos:
    """Clean all boxes as ``CocoDataset.parse_data_info`` does, log what was left out, and warn if it is much.

    Args:
        view: The lake. Rows whose image size is unknown, 0 x 0, are left out.
        bbox_min_size: Boxes narrower or lower than this many pixels are to be ignored in training.
        extra: Entries added to every data-info.
        training: Whether the boxes are to be trained on.

    Raises:
        AnnotationError: They are to be trained on, and no box, or next to none, is left.
    """
    done = clean_boxes(view, bbox_min_size)
    _log.info(readable(f"{view.source}: {done}", lines=True))
    doubt = done.doubt()
    if doubt is not None:
        if training and done.is_hopeless:
            raise doubt
        _log.warning(str(doubt))
    return DataInfos(view, np.flatnonzero(view.table.widths), done.keep, done.ignored, extra)


def with_cache(view: LakeView, settings: CacheSettings | None) -> LakeView:
    """The view with a cache for its images, where that makes sense; otherwise as it is, which is logged.

    Args:
        view: A lake.
        settings: The cache; None for none.

    Raises:
        ConfigError: The cache's folder cannot be used, or it is too small for a single chunk of the lake.
    """
    if settings is None:
        return view
    reason = None
    if is_local(view.source.url):
        reason = "the lake is on this machine"
    elif not view.has_encoded_images:
        reason = "its images are arrays or links, or in an order that Deep Lake alone can tell"
    if reason is not None:
        _log.info(f"cache= has no effect on {view.source}: {reason}")
        return view
    size, count = settings.size, len(view.table)
    counters = torch.from_numpy(new_counters())
    counters.share_memory_()  # type: ignore[no-untyped-call]
    cache = ChunkCache(settings, view.encoded.cached_source, view.roles.img, counters)
    cache.open()
    if view.encoded.chunk_bytes > size:
        raise ConfigError(
            f"A cache of {human_bytes(size)} cannot hold a single chunk of the lake, "
            f"about {human_bytes(view.encoded.chunk_bytes)}",
            where="dataset key 'cache'",
            advice=f"all images take about {human_bytes(view.encoded.cached_bytes)}",
        )
    if view.encoded.cached_bytes > size:
        _log.info(
            f"The cache of {human_bytes(size)} holds a part of the lake only: its {count} images take about "
            f"{human_bytes(view.encoded.cached_bytes)}"
        )
    return view.with_cache(cache)


def take_out_files(arguments: dict[str, Any], own: Iterable[str]) -> None:
    """Remove the arguments that name annotation files, which a lake makes pointless, in place, and log them.

    Args:
        arguments: Keyword arguments for MMDetection's base class.
        own: Names of this dataset's own arguments, to suggest in place of an unknown one.

    Raises:
        ConfigError: An argument asks for another file or storage to be read, or neither this dataset nor
            MMDetection's knows it.
    """
    for key in ("proposal_file", "backend_args", "file_client_args"):
        if arguments.pop(key, None):
            raise ConfigError(
                f"DeepLakeDataset cannot use {key!r}",
                where=f"dataset key {key!r}",
                advice="remove it: everything comes out of the lake",
            )
    if ignored := [key for key in _OF_FILES if arguments.pop(key, None)]:
        _log.info(f"DeepLakeDataset reads the lake only and ignores {', '.join(ignored)}")
    known = {name for kind in (BaseDataset, BaseDetDataset) for name in signature(kind).parameters}
    if unknown := sorted(set(arguments) - known):
        near = get_close_matches(unknown[0], sorted({*known, *own} - {"kwargs"}), n=1)
        raise ConfigError(
            f"DeepLakeDataset has no key {', '.join(map(repr, unknown))}",
            where=f"dataset key {', '.join(map(repr, unknown))}",
            advice=f"perhaps {near[0]!r} is meant" if near else "correct its name, or take it out",
        )


def tell_left_out(view: LakeView, left: int) -> None:
    """Log the rows that are not among the samples because their images cannot be decoded.

    Args:
        view: The lake.
        left: Number of rows that are among the samples.

    Raises:
        ImageError: There are such rows, and none is left.
    """
    bad = np.flatnonzero(view.table.widths == 0)
    if not len(bad):
        return
    linked = view.columns[view.roles.img].is_link
    state = "linked images cannot be fetched or decoded" if linked else "images cannot be decoded"
    what = f"{len(bad)} of {len(view.table)} {state}"
    where = f"lake {view.source.url}, column {view.roles.img!r}, rows {listed(bad)}"
    if not left:
        raise ImageError(what, where=where, advice="repair the lake; there is nothing to skip to")
    _log.warning(readable(f"Skipping: {what} ({where})"))
