"""Lanes: blocks of neighbouring rows one after the other, several lanes side by side, a rank to each."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Order", "in_lanes", "in_stretches"]


@dataclass(frozen=True)
class Order:
    """The order of a pass over a dataset.

    Attributes:
        indices: All indices, in that order; shape (n,).
        lanes: Lane of every index, by index; shape (n,). None where ranks may share as it comes.
    """

    indices: NDArray[np.integer[Any]]
    lanes: NDArray[np.integer[Any]] | None = None


def in_lanes(blocks: NDArray[np.integer[Any]], window: int, random: np.random.Generator) -> Order:
    """A random order in which every block is in use for one stretch of time, and few are at a time.

    Blocks come in random order, each in the lane that ends first, and the rows of a block in random order.
    The lanes take turns, a row each: ranks that have lanes of their own have blocks of their own. Lanes
    begin one after the other, so that not all of them need their next blocks at the same time.

    Args:
        blocks: Block of every index, shape (n,), numbered from 0.
        window: Number of lanes, which is the number of blocks in use at a time.
        random: Source of the random numbers.
    """
    sizes = np.bincount(blocks)
    delay = len(blocks) / max(np.count_nonzero(sizes), 1) / window
    ends = [(int(lane * delay), lane) for lane in range(window)]
    begins, lanes = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), np.min_scalar_type(window))
    for block in random.permutation(len(sizes)).tolist():
        begin, lane = ends[0]
        begins[block], lanes[block] = begin, lane
        heapq.heapreplace(ends, (begin + int(sizes[block]), lane))
    # A stable sort, as equal sums, rare as they are, must not fall out otherwise on another rank's machine.
    by_block = np.argsort(blocks + random.random(len(blocks)), kind="stable")
    times = np.arange(len(blocks))
    times += np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
    times *= window
    times += np.repeat(lanes, sizes)
    return Order(by_block[np.argsort(times)], lanes[blocks])


def in_stretches(length: int, count: int) -> Order:
    """An order in which each rank has one stretch of neighbouring indices, ascending; the ranks take turns.

    Args:
        length: Number of indices.
        count: Number of ranks.
    """
    bounds = length * np.arange(count + 1) // count
    lanes = np.repeat(np.arange(count), np.diff(bounds))
    times = (np.arange(length) - bounds[lanes]) * count + lanes
    return Order(np.argsort(times), lanes)
