"""What each rank gets of a batch of all ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.loading.order import Batches

__all__ = ["part_of_rank", "shares_in_turn", "shares_of_rank"]

_AT_ONCE = 64  # batches

Indices = NDArray[np.integer[Any]]


def part_of_rank(batches: Batches, number: int, rank: int, ranks: int) -> Indices:
    """The share of one rank in a batch; shares differ by one index at most.

    Lane l belongs to rank l modulo ``ranks``. A rank gets what its lanes have in the batch, as far as its
    share goes, and something that is left over of other lanes to fill it.

    Args:
        batches: Batches of all ranks.
        number: Number of the batch, from 0.
        rank: Number of the rank, from 0.
        ranks: Number of ranks.
    """
    part: Indices = _part(batches[number][None], rank, ranks, batches.lanes)[0]
    return part


def shares_of_rank(batches: Batches, skip: int, rank: int, ranks: int) -> Indices:
    """All indices that one rank gets of all batches, in order.

    Args:
        batches: Batches of all ranks; all but the last two of one size.
        skip: Number of batches to leave out at the front.
        rank: Number of the rank, from 0.
        ranks: Number of ranks.
    """
    alike = _end_of_alike(batches, skip)
    shares: list[Any] = [part_of_rank(batches, number, rank, ranks) for number in range(alike, len(batches))]
    if alike > skip:
        shares.insert(0, _part(_alike(batches, skip, alike), rank, ranks, batches.lanes).ravel())
    return np.concatenate(shares) if shares else batches.indices[:0]


def shares_in_turn(batches: Batches, skip: int, rank: int, ranks: int) -> Iterator[list[int]]:
    """What one rank gets of each batch, in turn; deals many batches at once, in a fraction of the time.

    Args:
        batches: Batches of all ranks; all but the last two of one size.
        skip: Number of batches to leave out at the front.
        rank: Number of the rank, from 0.
        ranks: Number of ranks.

    Yields:
        The indices of one batch.
    """
    alike = _end_of_alike(batches, skip)
    for first in range(skip, alike, _AT_ONCE):
        table = _alike(batches, first, min(first + _AT_ONCE, alike))
        yield from _part(table, rank, ranks, batches.lanes).tolist()
    for number in range(alike, len(batches)):
        yield part_of_rank(batches, number, rank, ranks).tolist()


def _end_of_alike(batches: Batches, skip: int) -> int:
    """The batches from ``skip`` to before this one are of one size."""
    return max(len(batches) - 2, skip)


def _alike(batches: Batches, first: int, stop: int) -> Indices:
    """Batches of one size, shape (batches, size)."""
    return batches.indices[batches.bounds[first] : batches.bounds[stop]].reshape(stop - first, -1)


def _part(table: Indices, rank: int, ranks: int, lanes: Indices | None) -> Indices:
    """What one rank gets of batches of one size, which are the rows of ``table``, shape (batches, size)."""
    bounds = table.shape[1] * np.arange(ranks + 1) // ranks
    if lanes is not None and ranks > 1:
        table = np.take_along_axis(table, _dealt(lanes[table] % ranks, bounds), axis=1)
    return table[:, bounds[rank] : bounds[rank + 1]]


def _dealt(homes: Indices, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns in such an order that what is at home on rank r comes between ``bounds[r]`` and the next one.

    Args:
        homes: Rank where each index is at home, shape (batches, size).
        bounds: Where the share of each rank begins, and the size.
    """
    by_home = np.argsort(homes, axis=1, kind="stable")
    home = np.take_along_axis(homes, by_home, axis=1)
    columns = np.arange(homes.shape[1])
    changes = np.where(np.diff(home, axis=1, prepend=-1) != 0, columns, 0)
    turns = columns - np.maximum.accumulate(changes, axis=1)
    stays = turns < np.diff(bounds)[home]
    dealt = np.full(homes.shape, -1)
    rows = np.nonzero(stays)[0]
    dealt[rows, (bounds[home] + turns)[stays]] = by_home[stays]
    # In each row as many are left over as there are places left.
    dealt[dealt < 0] = by_home[~stays]
    return dealt
