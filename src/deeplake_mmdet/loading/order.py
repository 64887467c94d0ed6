"""The order of a pass over a dataset, and its batches: pure functions of the seed and the pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batches", "cut_into_batches", "order_of_pass", "part_of_rank", "resume_batches", "shares_of_rank"]

Indices = NDArray[np.integer[Any]]
Stretch = tuple[int, int, int]
"""Batches used of a pass: indices in each, of all ranks together; their number; ``least`` as it was then."""


@dataclass(frozen=True)
class Batches:
    """Batches of one pass, for all ranks together.

    Attributes:
        indices: All indices, batch after batch, shape (n,).
        bounds: Batch i is ``indices[bounds[i]:bounds[i + 1]]``; shape (number of batches + 1,).
    """

    indices: Indices
    bounds: NDArray[np.int64]

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
) -> Indices:
    """The order in which one pass visits all indices.

    With ``blocks``, neighbours stay near each other: blocks come in random order, and each index is moved
    back by a random part of ``window`` blocks. At any time the indices in use then belong to little more than
    ``window`` blocks, each of which is needed for one stretch of time only.

    Args:
        length: Number of indices.
        seed: The run's.
        pass_: Number of the pass, from 0.
        shuffle: False for ascending order.
        blocks: Block of every index, shape (length,), numbered from 0.
        window: Number of blocks to mix.
    """
    kind: Any = np.int32 if length < 2**31 else np.int64
    if not shuffle:
        return np.arange(length, dtype=kind)
    random = np.random.Generator(np.random.PCG64([seed, pass_]))
    if blocks is None:
        return random.permutation(np.arange(length, dtype=kind))
    if not length:
        return np.arange(0, dtype=kind)
    turn = random.permutation(int(blocks.max()) + 1)[blocks]
    ordered: Indices = np.argsort(turn + window * random.random(length), kind="stable").astype(kind)
    return ordered


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
        options: As for `cut_into_batches`.

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
        done: As for `resume_batches`.
        size: As for `cut_into_batches`; likewise the others.
        least: Likewise.
        drop_last: Likewise.
    """

    def cut(size: int, least: int) -> int:
        full, tail = divmod(length, size)
        return full if not tail or (tail < least and full) else full + 1

    for earlier, count, lowest in done:
        length = length - count * earlier if count < cut(earlier, lowest) else 0
    return sum(stretch[1] for stretch in done) + (length // size if drop_last else cut(size, least))


def part_of_rank(batch: Indices, rank: int, ranks: int) -> Indices:
    """The share of one rank in a batch; shares differ by one index at most."""
    return batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]


def shares_of_rank(batches: Batches, skip: int, rank: int, ranks: int) -> Indices:
    """All that one rank gets of batches, in turn.

    Args:
        batches: Batches of all ranks; all but the last two of one size.
        skip: Number of batches to leave out at the front.
        rank: The rank.
        ranks: Number of ranks.
    """
    if ranks == 1:
        return batches.indices[batches.bounds[min(skip, len(batches))] :]
    alike = max(len(batches) - 2, skip)
    size = int(batches.bounds[1] - batches.bounds[0]) if len(batches) else 0
    first, last = batches.bounds[min(skip, len(batches))], batches.bounds[min(alike, len(batches))]
    shares: list[Any] = []
    if last > first:
        table = batches.indices[first:last].reshape(-1, size)
        shares.append(table[:, size * rank // ranks : size * (rank + 1) // ranks].ravel())
    shares += [part_of_rank(batches[number], rank, ranks) for number in range(alike, len(batches))]
    return np.concatenate(shares) if shares else batches.indices[:0]
