"""Objects of many images as flat arrays: what all scores are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.rle import rle_areas

__all__ = ["Instances", "pair_up", "spans"]


@dataclass(frozen=True)
class Instances:
    """Objects of many images, truth or predictions, ordered by image.

    Attributes:
        images: Number of the image of each object, shape (n,), ascending.
        labels: Class index, shape (n,).
        xywh: (left, top, width, height) in pixels, shape (n, 4), float64.
        areas: Square pixels, shape (n,), float64; None for those of the masks.
        scores: Shape (n,), float64; predictions only.
        iscrowd: Shape (n,), bool; truth only. Overlap with a crowd is measured against the prediction alone,
            and a crowd takes any number of predictions.
        ignore: Shape (n,), bool; truth only. Neither finding nor missing such an object counts.
        masks: COCO's compressed run lengths, n of them; None if there are no masks.
        sizes: (height, width) of the masks, shape (n, 2); None likewise.
    """

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    xywh: NDArray[np.float64]
    areas: NDArray[np.float64] | None
    scores: NDArray[np.float64] | None = None
    iscrowd: NDArray[np.bool_] | None = None
    ignore: NDArray[np.bool_] | None = None
    masks: Sequence[bytes] | None = None
    sizes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def crowds(self) -> NDArray[np.bool_]:
        """``iscrowd``, all False where it is None."""
        return np.zeros(len(self), bool) if self.iscrowd is None else self.iscrowd

    def ignored(self) -> NDArray[np.bool_]:
        """Crowds and ignored objects, shape (n,)."""
        return self.crowds() if self.ignore is None else self.crowds() | self.ignore

    def confidence(self) -> NDArray[np.float64]:
        """``scores``, zeros where it is None."""
        return np.zeros(len(self)) if self.scores is None else self.scores

    def measured(self) -> NDArray[np.float64]:
        """``areas``, counted in the masks where it is None."""
        if self.areas is not None:
            return self.areas
        assert self.masks is not None
        assert self.sizes is not None
        return rle_areas(self.masks, self.sizes)

    def take(self, chosen: NDArray[Any]) -> Instances:
        """The objects at some places, in that order.

        Args:
            chosen: Places, or a mask of all objects.
        """
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        arrays = {
            name: None if getattr(self, name) is None else getattr(self, name)[chosen]
            for name in ("images", "labels", "xywh", "areas", "scores", "iscrowd", "ignore", "sizes")
        }
        masks = None if self.masks is None else [self.masks[place] for place in chosen.tolist()]
        return Instances(**arrays, masks=masks)  # type: ignore[arg-type]

    def relabelled(self, labels: NDArray[np.int64]) -> Instances:
        """The same objects with other labels.

        Args:
            labels: Class indices, shape (k,).
        """
        return replace(self, labels=labels)

    def of_images(self, first: int, end: int) -> Instances:
        """The objects of the images from ``first`` to before ``end``.

        Args:
            first: Number of the first image.
            end: Number of the image after the last.
        """
        bounds = np.searchsorted(self.images, [first, end])
        return self if bounds.tolist() == [0, len(self)] else self.take(np.arange(*bounds))

    def rles(self) -> list[dict[str, Any]]:
        """COCO's run-length dicts of all masks."""
        assert self.masks is not None
        assert self.sizes is not None
        sizes = self.sizes.tolist()
        return [{"size": size, "counts": counts} for size, counts in zip(sizes, self.masks, strict=True)]


def pair_up(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair every entry of ``first`` with every entry of ``second`` that has the same key.

    Args:
        first: Keys, shape (a,), in any order.
        second: Keys, shape (b,), ascending.

    Returns:
        Places in the first list, ascending, and in the second, ascending for each of the first; shape (p,).
    """
    start = np.searchsorted(second, first, "left")
    count = np.searchsorted(second, first, "right") - start
    return np.repeat(np.arange(len(first)), count), np.repeat(start, count) + spans(count)


def spans(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """``0..counts[0]-1, 0..counts[1]-1, ...``, shape (sum of counts,).

    Args:
        counts: Shape (n,), int64.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)
