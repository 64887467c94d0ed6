"""The order of a pass over a dataset, and its batches: pure functions of the seed and the pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.loading.lanes import Order, in_lanes

__all__ = ["Batches", "count_batches", "cut_into_batches", "order_of_pass", "resume_batches"]

Indices = NDArray[np.integer[Any]]
Stretch = tuple[int, int, int]
"""Batches used of a pass: indices in each, of all ranks together; their number; ``least`` as it was then."""


@dataclass(frozen=True)
class Batches:
    """Batches of one pass, for all ranks together.

    Attributes:
        indices: All indices, batch after batch, shape (n,).
        bounds: Batch i is ``indices[bounds[i]:bounds[i + 1]]``; shape (number of batches + 1,).
        lanes: Lane of every index, by index, as in `Order`; None where ranks may share as it comes.
    """

    indices: Indices
    bounds: NDArray[np.int64]
    lanes: Indices | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, batch: int) -> Indices:
        return self.indices[self.bounds[batch] : self.bounds[batch + 1]]


def order_of_pass(
    length: int,
    seed: int,
    pass_: int,
    *,
    shuffle: bool,
    blocks: NDArray[np.integer[Any]] | None = None,
    window: int = 8,
) -> Order:
    """The order in which one pass visits all indices.

    Args:
        length: Number of indices.
        seed: Seed of the run.
        pass_: Number of the pass, from 0.
        shuffle: False for ascending order.
        blocks: Block of every index, shape (length,), numbered from 0: neighbours then stay near each other,
            see `in_lanes`. None for any order with equal chance.
        window: Number of blocks to mix.
    """
    kind: Any = np.int32 if length < 2**31 else np.int64
    if not shuffle or not length:
        return Order(np.arange(length, dtype=kind))
    random = np.random.Generator(np.random.PCG64([seed, pass_]))
    if blocks is None:
        return Order(random.permutation(np.arange(length, dtype=kind)))
    order = in_lanes(blocks, window, random)
    return Order(order.indices.astype(kind), order.lanes)


def cut_into_batches(
    order: Indices,
    size: int,
    *,
    groups: NDArray[np.bool_] | None = None,
    least: int = 1,
    drop_last: bool = False,
) -> Batches:
    """Cut an order into batches of one size; the last one may be smaller.

    Args:
        order: Indices in the order of the pass.
        size: Indices in a batch, of all ranks together.
        groups: Group of every index, by index: batches hold one group only, except for what is left at the
            end, as with MMDetection's ``AspectRatioBatchSampler``. A batch comes when it is full.
        least: A last batch smaller than this is joined to the one before it.
        drop_last: Leave out a last batch that is not full.
    """
    full, rest = len(order) // size * size, order
    if groups is not None:
        positions = [np.flatnonzero(groups[order] == group) for group in (True, False)]
        chunks: list[Any] = [place[: len(place) // size * size].reshape(-1, size) for place in positions]
        left = [place[len(place) // size * size :] for place in positions]
        filled: Any = np.concatenate(chunks)
        filled = filled[np.argsort(filled[:, -1], kind="stable")]
        rest = order[np.concatenate([filled.ravel(), *left])]
    bounds: NDArray[np.int64] = np.arange(0, full + 1, size, dtype=np.int64)
    if drop_last:
        return Batches(rest[:full], bounds)
    tail = len(order) - full
    if 0 < tail < least and len(bounds) > 1:
        bounds = bounds[:-1]
    if tail:
        bounds = np.append(bounds, len(order))
    return Batches(rest, bounds)


def resume_batches(order: Indices, done: Sequence[Stretch], size: int, **options: Any) -> tuple[Batches, int]:
    """The batches that are left of a pass of which some have been used, perhaps in another size.

    Args:
        order: The whole pass.
        done: Each stretch that has been used, in turn.
        size: Size from now on.
        options: The keyword arguments of `cut_into_batches`.

    Returns:
        The batches of the last stretch, and how many of those have been used.
    """
    stretches = [*done]
    if not stretches or stretches[-1][::2] != (size, options["least"]):
        stretches.append((size, 0, options["least"]))
    for earlier, count, least in stretches[:-1]:
        batches = cut_into_batches(order, earlier, **{**options, "least": least, "drop_last": False})
        order = batches.indices[batches.bounds[min(count, len(batches))] :]
    batches = cut_into_batches(order, size, **options)
    return batches, min(stretches[-1][1], len(batches))


def count_batches(length: int, done: Sequence[Stretch], size: int, *, least: int, drop_last: bool) -> int:
    """How many batches a pass has, those of ``done`` included: what cutting tells, without an order.

    Args:
        length: Number of indices.
        done: Each stretch of batches that has been used, in turn.
        size: Indices in a batch, of all ranks together.
        least: A last batch smaller than this is joined to the one before it.
        drop_last: A last batch that is not full is left out.
    """

    def cut(size: int, least: int) -> int:
        full, tail = divmod(length, size)
        return full if not tail or (tail < least and full) else full + 1

    for earlier, count, lowest in done:
        length = length - count * earlier if count < cut(earlier, lowest) else 0
    return sum(stretch[1] for stretch in done) + (length // size if drop_last else cut(size, least))
