"""Positions of batch samplers: any sequence of batch sizes and rank numbers covers each pass exactly once."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.loading import LakeBatchSampler, LakeSampler
from deeplake_mmdet.loading.order import count_batches, order_of_pass, resume_batches


class Sizes:
    """A dataset of which only the shapes are known."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def get_data_info(self, index: int) -> dict[str, int]:
        return {"width": 1 + index * 7 % 5, "height": 3}


def samplers(length: int, size: int, ranks: int, **options: Any) -> list[LakeBatchSampler]:
    """Those of all ranks."""
    found = []
    for rank in range(ranks):
        sampler = LakeSampler(Sizes(length), seed=5, infinite=options.get("infinite", False))
        sampler.rank, sampler.ranks = rank, ranks
        group = options.get("group", False)
        found.append(LakeBatchSampler(sampler, batch_size=size, group_by_aspect=group))
    return found


stretch = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))  # size, ranks, batches
stretches = st.lists(stretch, min_size=1, max_size=5)


def repeats(length: int, parts: list[tuple[int, int, int]]) -> bool:
    """Whether at some point less was left than there were ranks."""
    for size, ranks, batches in parts:
        if length < ranks:
            return length > 0
        full, tail = divmod(length, size * ranks)
        count = full if not tail or (tail < ranks and full) else full + 1
        length = length - batches * size * ranks if batches < count else 0
    return False


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 40), stretches, st.booleans())
def test_a_pass_in_several_stretches_has_every_index_once(length, parts, group):
    position: dict[str, Any] = {"pass": 3, "done": []}
    seen: list[int] = []
    for number, (size, ranks, batches) in enumerate(parts):
        of_ranks = samplers(length, size, ranks, group=group)
        counts = set()
        for one in of_ranks:
            one.go_to(position)
            one.sampler.set_epoch(3)  # as MMEngine's hook does
            counts.add(len(one) - one.used)
        per_rank = [list(one) for one in of_ranks]
        assert counts == {len(taken) for taken in per_rank}
        used = len(per_rank[0]) if number == len(parts) - 1 else min(batches, len(per_rank[0]))
        seen += [index for taken in per_rank for batch in taken[:used] for _, index in batch]
        position = of_ranks[0].position(3, of_ranks[0].used + used)
    assert sorted(set(seen)) == list(range(length))
    assert len(seen) < length + max(ranks for _, ranks, _ in parts)
    if not repeats(length, parts):
        assert len(seen) == length


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 30), stretches, st.booleans())
def test_endless_passes_in_several_stretches_have_every_index_once_each(length, parts, group):
    position: dict[str, Any] = {"pass": 0, "done": []}
    seen: list[tuple[int, int]] = []
    for size, ranks, batches in parts:
        of_ranks = samplers(length, size, ranks, group=group, infinite=True)
        for one in of_ranks:
            one.go_to(position)
        begin = of_ranks[0].sampler.pass_, of_ranks[0].used
        streams = [iter(one) for one in of_ranks]
        for _ in range(3 * batches):
            seen += [item for stream in streams for item in next(stream)]
        position = of_ranks[0].position(*of_ranks[0].locate(begin[0], begin[1] + 3 * batches))
    for pass_ in range(max(pass_ for pass_, _ in seen)):
        found = [index for at, index in seen if at == pass_]
        assert sorted(set(found)) == list(range(length))
        if all(ranks == 1 for _, ranks, _ in parts):
            assert len(found) == length


@settings(deadline=None)
@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4)), max_size=3),
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
    st.booleans(),
)
def test_counting_batches_is_cutting_them(length, done, now, drop_last):
    size, least = now
    order = order_of_pass(length, 1, 2, shuffle=True).indices
    batches, skip = resume_batches(order, done, size, least=least, drop_last=drop_last)
    counted = count_batches(length, done, size, least=least, drop_last=drop_last)
    assert counted == len(batches) - skip + sum(stretch[1] for stretch in done)
