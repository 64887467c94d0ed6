"""Chunk shuffle: few blocks in use at a time, those of one rank not those of another, all well mixed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplake_mmdet.loading.lanes import Order, in_stretches
from deeplake_mmdet.loading.order import cut_into_batches, order_of_pass

LENGTH, BLOCK, WINDOW = 20_000, 100, 8


def shuffled(blocks: np.ndarray, window: int = WINDOW, seed: int = 3) -> Order:
    return order_of_pass(len(blocks), seed, 0, shuffle=True, blocks=blocks, window=window)


def blocks_of_sizes(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def in_use(visited: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last position of every block that is there."""
    last = len(visited) - 1 - np.unique(visited[::-1], return_index=True)[1]
    return np.unique(visited, return_index=True)[1], last


def test_few_blocks_are_open_at_a_time_and_are_mixed() -> None:
    blocks = np.arange(LENGTH) // BLOCK
    order = shuffled(blocks).indices
    visited = blocks[order]
    first, last = in_use(visited)
    open_at = [((first <= at) & (last >= at)).sum() for at in range(0, LENGTH, 50)]
    assert max(open_at) <= WINDOW
    assert (last - first).max() <= (WINDOW + 1) * BLOCK
    # within 32 samples in a row, more than half come from different blocks than their neighbour
    assert np.mean(visited[1:] != visited[:-1]) > 0.8
    assert np.mean([len(set(visited[at : at + 32])) for at in range(1000, LENGTH - 1000, 500)]) > WINDOW / 2
    # blocks come in any order: rows travel far on average, as in a full shuffle (a third of the length)
    assert np.abs(order - np.arange(LENGTH)).mean() > 0.25 * LENGTH


def test_blocks_are_not_all_needed_at_the_same_time() -> None:
    """Else what reads ahead would have to have all of the next ones at once."""
    blocks = np.arange(LENGTH) // BLOCK
    first, _ = in_use(blocks[shuffled(blocks).indices])
    steps = np.diff(np.sort(first)[WINDOW:])
    assert steps.min() >= BLOCK / 2


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=40).filter(any),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
def test_each_lane_goes_from_block_to_block(sizes: list[int], window: int, seed: int) -> None:
    blocks = blocks_of_sizes(*sizes)
    order = shuffled(blocks, window, seed)
    assert order.lanes is not None
    assert sorted(order.indices.tolist()) == list(range(len(blocks)))
    assert len(set(zip(blocks.tolist(), order.lanes.tolist(), strict=True))) == len(set(blocks.tolist()))
    for lane in range(window):
        visited = blocks[order.indices[order.lanes[order.indices] == lane]]
        assert np.count_nonzero(np.diff(visited)) == max(len(set(visited.tolist())) - 1, 0)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
def test_lanes_take_turns(sizes: list[int], window: int, seed: int) -> None:
    """Between two samples of a lane, no other lane has more than one."""
    blocks = blocks_of_sizes(*sizes)
    order = shuffled(blocks, window, seed)
    assert order.lanes is not None
    lanes = order.lanes[order.indices]
    for lane in range(window):
        own = np.flatnonzero(lanes == lane)
        for begin, end in pairwise(own):
            between = lanes[begin + 1 : end].tolist()
            assert len(between) == len(set(between))


def test_classes_of_a_batch_are_mixed_where_the_lake_is_sorted_by_class() -> None:
    """Eight classes, one after the other in the lake: a batch of 16 has several."""
    classes = np.arange(LENGTH) * 8 // LENGTH
    blocks = np.arange(LENGTH) // BLOCK
    batches = cut_into_batches(shuffled(blocks).indices, 16)
    mixed = [len(set(classes[batches[number]].tolist())) for number in range(len(batches))]
    assert np.mean(mixed) > 4


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_stretches_are_each_ranks_own_and_ascend(ranks: int) -> None:
    order = in_stretches(1001, ranks)
    assert order.lanes is not None
    assert sorted(order.indices.tolist()) == list(range(1001))
    lanes = order.lanes[order.indices]
    for rank in range(ranks):
        own = order.indices[lanes == rank]
        assert own.tolist() == list(range(own[0], own[0] + len(own)))
    assert lanes[: ranks * 100].tolist() == list(range(ranks)) * 100
