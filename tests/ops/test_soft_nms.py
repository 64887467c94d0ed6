"""Soft-NMS and nms_match against the same written out box by box."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import deeplake_mmdet  # noqa: F401  # puts the stand-in in before mmcv.ops is imported

METHODS = ("naive", "linear", "gaussian")


def boxes_of(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that overlap a lot, with few different scores, so that ties are many."""
    draw = np.random.default_rng(seed)
    low = draw.integers(0, 12, (count, 2))
    boxes = np.concatenate([low, low + draw.integers(1, 9, (count, 2))], 1)
    return boxes.astype(np.float32), (draw.integers(1, 6, count) / 6).astype(np.float32)


def overlap(a: np.ndarray, b: np.ndarray, offset: int) -> np.float32:
    size = [max(np.float32(0), min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + offset) for i in (0, 1)]
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    inter = size[0] * size[1]
    return inter / (areas[0] + areas[1] - inter)


def one_by_one(boxes, scores, threshold, sigma, least, method, offset):
    """As the paper has it, with lists; a dropped box's place is taken by the last one."""
    left = [(i, np.float32(score)) for i, score in enumerate(scores)]
    kept = []
    while left:
        best = max(range(len(left)), key=lambda place: (left[place][1], -place))
        left[0], left[best] = left[best], left[0]
        (chosen, score), *left = left
        kept.append((chosen, score))
        place = 0
        while place < len(left):
            other, lowered = left[place]
            near = overlap(boxes[chosen], boxes[other], offset)
            if method == "gaussian":
                lowered *= np.float32(math.exp(-(near**2) / np.float32(sigma)))
            elif near >= np.float32(threshold):
                lowered *= np.float32(0) if method == "naive" else np.float32(1) - near
            last = left.pop() if lowered < np.float32(least) else None
            if last is None:
                left[place] = (other, lowered)
                place += 1
            elif place < len(left):
                left[place] = last
    return kept


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.sampled_from(METHODS),
    st.sampled_from([0, 1]),
    st.sampled_from([1e-3, 0.2, 0.5]),
)
def test_soft_nms_is_the_papers(seed, count, method, offset, least):
    from mmcv.ops import soft_nms

    boxes, scores = boxes_of(seed, count)
    dets, kept = soft_nms(
        torch.from_numpy(boxes), torch.from_numpy(scores), iou_threshold=0.3, sigma=0.5, min_score=least,
        method=method, offset=offset,
    )  # fmt: skip
    expected = one_by_one(boxes, scores, 0.3, 0.5, least, method, offset)
    assert kept.tolist() == [box for box, _ in expected]
    np.testing.assert_array_equal(dets[:, :4].numpy(), boxes[kept.numpy()])
    np.testing.assert_allclose(dets[:, 4].numpy(), [score for _, score in expected], rtol=1e-6)


def test_soft_nms_of_nothing():
    from mmcv.ops import soft_nms

    dets, kept = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert len(kept) == 0


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0, 1))
def test_groups_are_those_of_greedy_suppression(array, seed, count, threshold):
    from mmcv.ops import nms_match

    boxes, scores = boxes_of(seed, count)
    scores = scores + np.arange(count, dtype=np.float32) / 1000  # no ties
    groups = nms_match(array(np.concatenate([boxes, scores[:, None]], 1)), threshold)
    left = np.argsort(-scores).tolist()
    for group in groups:
        first = left[0]
        near = [i for i in left[1:] if overlap(boxes[first], boxes[i], 0) >= np.float32(threshold)]
        assert group.tolist() == [first, *near]
        left = [i for i in left[1:] if i not in near]
    assert not left


def test_batched_nms_takes_it():
    from mmcv.ops import batched_nms

    boxes, scores = boxes_of(3, 20)
    given_ = torch.from_numpy(boxes), torch.from_numpy(scores), torch.arange(20) % 3
    dets, kept = batched_nms(*given_, {"type": "soft_nms", "iou_threshold": 0.5, "min_score": 0.05})
    assert len(dets) == len(kept) > 0
    assert bool((dets[:-1, 4] >= dets[1:, 4]).all())
