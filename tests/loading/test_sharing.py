"""Shares of ranks: each index once, of one size, and blocks read by one rank each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplake_mmdet.loading.order import Batches, cut_into_batches, order_of_pass
from deeplake_mmdet.loading.sharing import part_of_rank, shares_in_turn, shares_of_rank

lengths = st.integers(0, 200)
sizes = st.integers(1, 17)
seeds = st.integers(0, 2**31)


@given(lengths, sizes, st.integers(1, 5), seeds, st.booleans(), st.sampled_from([None, 1, 3, 8]))
def test_ranks_share_every_batch(
    length: int, size: int, ranks: int, seed: int, grouped: bool, lanes: int | None
) -> None:
    random = np.random.default_rng(seed)
    order = random.permutation(length)
    groups = random.random(length) < 0.5 if grouped else None
    batches = cut_into_batches(order, size * ranks, groups=groups, least=ranks)
    if lanes is not None:
        batches = replace(batches, lanes=random.integers(0, lanes, length))
    shares = [
        [part_of_rank(batches, number, rank, ranks).tolist() for number in range(len(batches))]
        for rank in range(ranks)
    ]
    if length >= ranks:
        assert all(share for rank in shares for share in rank), "a rank went without"
    for number in range(len(batches)):
        together = [index for rank in shares for index in rank[number]]
        assert sorted(together) == sorted(batches[number].tolist())
        lengths_now = [len(rank[number]) for rank in shares]
        assert max(lengths_now) - min(lengths_now) <= 1
    for rank in range(ranks):
        together = [index for share in shares[rank] for index in share]
        assert shares_of_rank(batches, 0, rank, ranks).tolist() == together
        if len(batches):
            later = [index for share in shares[rank][1:] for index in share]
            assert shares_of_rank(batches, 1, rank, ranks).tolist() == later
        for skip in {0, 1, len(batches) // 2, len(batches)}:
            assert list(shares_in_turn(batches, skip, rank, ranks)) == shares[rank][skip:]


@given(sizes, st.integers(2, 5), seeds, st.integers(1, 9))
def test_a_rank_gets_what_its_lanes_have(size: int, ranks: int, seed: int, lanes: int) -> None:
    random = np.random.default_rng(seed)
    batch = random.permutation(size * ranks)
    lane_of = random.integers(0, lanes, size * ranks)
    batches = Batches(batch, np.array([0, size * ranks]), lane_of)
    for rank in range(ranks):
        share = part_of_rank(batches, 0, rank, ranks).tolist()
        own = [index for index in batch.tolist() if lane_of[index] % ranks == rank]
        assert share[: len(own)] == own[:size]


def read_by_ranks(blocks: np.ndarray, ranks: int, size: int, groups: np.ndarray | None) -> tuple[int, int]:
    """Blocks that ranks have most rows of, counted by rank; and rows of other blocks."""
    order = order_of_pass(len(blocks), 5, 0, shuffle=True, blocks=blocks, window=8)
    batches = cut_into_batches(order.indices, size * ranks, groups=groups)
    batches = replace(batches, lanes=order.lanes)
    whole = single = 0
    for rank in range(ranks):
        counts = np.bincount(blocks[shares_of_rank(batches, 0, rank, ranks)], minlength=blocks.max() + 1)
        most = counts >= 0.4 * np.bincount(blocks)
        whole, single = whole + int(most.sum()), single + int(counts[~most].sum())
    return whole, single


@pytest.mark.parametrize(("ranks", "size"), [(2, 3), (4, 16), (8, 2), (8, 16)])
def test_ranks_have_blocks_of_their_own(ranks: int, size: int) -> None:
    """With blocks of about one size, as Deep Lake makes them: hardly a block is read by two ranks."""
    sizes = np.random.default_rng(1).integers(70, 90, 500)
    blocks = np.repeat(np.arange(500), sizes)
    whole, single = read_by_ranks(blocks, ranks, size, None)
    assert whole <= 505
    assert single <= 0.015 * len(blocks)


def test_where_batches_are_grouped_by_shape_most_rows_are_in_a_ranks_own_blocks() -> None:
    sizes = np.random.default_rng(1).integers(70, 90, 500)
    blocks = np.repeat(np.arange(500), sizes)
    whole, single = read_by_ranks(blocks, 8, 16, np.random.default_rng(2).random(len(blocks)) < 0.3)
    assert whole <= 515
    assert single <= 0.15 * len(blocks)


def test_more_ranks_than_lanes_divide_them() -> None:
    blocks = np.arange(20_000) // 100
    whole, single = read_by_ranks(blocks, 16, 4, None)
    assert whole <= 2 * 200
    assert single <= 0.05 * len(blocks)
