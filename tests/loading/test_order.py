"""Order and batches: each index once in a pass, for any number of ranks, sizes and resumes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets.samplers import AspectRatioBatchSampler
from torch.utils.data import Sampler

from deeplake_mmdet.loading.order import (
    cut_into_batches,
    order_of_pass,
    resume_batches,
)

lengths = st.integers(0, 200)
sizes = st.integers(1, 17)
seeds = st.integers(0, 2**31)


@given(lengths, seeds, st.integers(0, 5), st.booleans(), st.sampled_from([None, 1, 7, 50]))
def test_an_order_holds_every_index_once(
    length: int, seed: int, pass_: int, shuffle: bool, block: int | None
) -> None:
    blocks = None if block is None else np.arange(length) // block
    order = order_of_pass(length, seed, pass_, shuffle=shuffle, blocks=blocks, window=3).indices
    assert sorted(order.tolist()) == list(range(length))
    again = order_of_pass(length, seed, pass_, shuffle=shuffle, blocks=blocks, window=3).indices
    assert order.tolist() == again.tolist()


def test_passes_and_seeds_differ() -> None:
    orders = [
        order_of_pass(1000, seed, pass_, shuffle=True).indices.tolist() for seed in (1, 2) for pass_ in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


@given(lengths, sizes, seeds, st.booleans())
def test_batches_are_cut_as_mmdet_groups_them(length: int, size: int, seed: int, drop_last: bool) -> None:
    random = np.random.default_rng(seed)
    upright = random.random(length) < 0.4
    order = random.permutation(length)

    class Stock(Sampler[int]):
        dataset: Any

        def __init__(self) -> None:
            self.dataset = self

        def __iter__(self) -> Any:
            return iter(order.tolist())

        def get_data_info(self, index: int) -> dict[str, int]:
            return {"width": 1, "height": 2} if upright[index] else {"width": 2, "height": 1}

    expected = list(AspectRatioBatchSampler(Stock(), size))
    if drop_last:  # mmdet's own drop_last also drops a last batch that happens to be full
        expected = [batch for batch in expected if len(batch) == size]
    batches = cut_into_batches(order, size, groups=upright, drop_last=drop_last)
    assert [batches[number].tolist() for number in range(len(batches))] == expected


@settings(max_examples=200)
@given(
    st.integers(1, 150),
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 6)), max_size=4),
    sizes,
    seeds,
    st.booleans(),
)
def test_a_resume_in_any_size_visits_the_rest_once(
    length: int, stretches: list[tuple[int, int]], size: int, seed: int, grouped: bool
) -> None:
    random = np.random.default_rng(seed)
    order = random.permutation(length)
    groups = random.random(length) < 0.5 if grouped else None
    seen: list[int] = []
    done: list[tuple[int, int, int]] = []
    for earlier, count in stretches:
        batches, skip = resume_batches(order, done, earlier, groups=groups, least=1)
        used = min(count, len(batches) - skip)
        for number in range(skip, skip + used):
            seen += batches[number].tolist()
        if done and done[-1][0] == earlier:
            done[-1] = (earlier, done[-1][1] + used, 1)
        else:
            done.append((earlier, used, 1))
    batches, skip = resume_batches(order, done, size, groups=groups, least=1)
    for number in range(skip, len(batches)):
        seen += batches[number].tolist()
    assert sorted(seen) == list(range(length))


@pytest.mark.parametrize("count", range(4))
def test_a_resume_in_the_same_size_continues_the_same_batches(count: int) -> None:
    order = np.random.default_rng(0).permutation(23)
    groups = order % 3 == 0
    whole = cut_into_batches(order, 6, groups=groups)
    batches, skip = resume_batches(order, [(6, count, 1)], 6, groups=groups, least=1)
    assert skip == count
    assert [batches[n].tolist() for n in range(len(batches))] == [
        whole[n].tolist() for n in range(len(whole))
    ]
