"""Objects of many images as flat arrays: what all scores are computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Instances", "Pairs", "pair_blocks", "pair_up", "spans"]

# Pairs held at a time: about 200 MB with all that is computed from them.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Instances:
    """Objects of many images, truth or predictions, ordered by image.

    Attributes:
        images: Number of the image of each object, shape (n,), ascending.
        labels: Class index, shape (n,).
        xywh: (left, top, width, height) in pixels, shape (n, 4), float64.
        areas: Square pixels, shape (n,), float64.
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
    areas: NDArray[np.float64]
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

    def take(self, chosen: NDArray[Any]) -> Instances:
        """The objects at some places, in that order."""
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        arrays = {
            name: None if getattr(self, name) is None else getattr(self, name)[chosen]
            for name in ("images", "labels", "xywh", "areas", "scores", "iscrowd", "ignore", "sizes")
        }
        masks = None if self.masks is None else [self.masks[place] for place in chosen.tolist()]
        return Instances(**arrays, masks=masks)  # type: ignore[arg-type]

    def relabelled(self, labels: NDArray[np.int64]) -> Instances:
        """The same objects with other labels."""
        return replace(self, labels=labels)

    def rles(self, chosen: Sequence[int]) -> list[dict[str, Any]]:
        """COCO's run-length dicts of some masks."""
        assert self.masks is not None
        assert self.sizes is not None
        return [{"size": self.sizes[place].tolist(), "counts": self.masks[place]} for place in chosen]


@dataclass(frozen=True)
class Pairs:
    """All pairs of two sorted lists that share a key.

    Attributes:
        first: Place in the first list, shape (p,), ascending.
        second: Place in the second list, shape (p,), ascending for each of ``first``.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]


def pair_up(first: NDArray[np.int64], second: NDArray[np.int64]) -> Pairs:
    """Pair every entry of ``first`` with every entry of ``second`` that has the same key.

    Args:
        first: Keys, shape (a,), in any order.
        second: Keys, shape (b,), ascending.
    """
    start = np.searchsorted(second, first, "left")
    count = np.searchsorted(second, first, "right") - start
    return Pairs(np.repeat(np.arange(len(first)), count), np.repeat(start, count) + spans(count))


def pair_blocks(first: NDArray[np.int64], second: NDArray[np.int64], most: int = _BLOCK) -> Iterator[Pairs]:
    """The same, about ``most`` pairs at a time, so that large data sets need no more memory than small ones.

    Args:
        first: Keys, shape (a,), in any order.
        second: Keys, shape (b,), ascending.
        most: Number of pairs; more if a single entry has more.
    """
    counts = np.searchsorted(second, first, "right") - np.searchsorted(second, first, "left")
    block = np.cumsum(counts) // most
    bounds = np.flatnonzero(np.diff(block, prepend=-1, append=np.iinfo(np.int64).max))
    for start, end in pairwise(bounds.tolist()):
        pairs = pair_up(first[start:end], second)
        yield Pairs(pairs.first + start, pairs.second)


def spans(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """``0..counts[0]-1, 0..counts[1]-1, ...``, shape (sum of counts,)."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)
