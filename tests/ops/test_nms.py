"""The stand-in's nms against a plain greedy loop in the compiled op's float32 arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.ops.nms import nms


def greedy(boxes: np.ndarray, order: np.ndarray, threshold: float, offset: int) -> list[int]:
    one = np.float32(offset)
    areas = (boxes[:, 2] - boxes[:, 0] + one) * (boxes[:, 3] - boxes[:, 1] + one)
    kept: list[int] = []
    with np.errstate(all="ignore"):
        for j in order:
            one_box, others = boxes[j], boxes[kept]
            low = np.where(one_box[:2] > others[:, :2], one_box[:2], others[:, :2])
            high = np.where(one_box[2:] < others[:, 2:], one_box[2:], others[:, 2:])
            sides = high - low + one
            inter = np.where(sides > 0, sides, np.float32(0)).prod(1)
            if not (inter / (areas[kept] + areas[j] - inter) > np.float32(threshold)).any():
                kept.append(int(j))
    return kept


def check(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int, **options: int) -> None:
    got = nms(boxes, scores, iou_threshold=threshold, offset=offset, **options)
    order = scores.sort(0, descending=True)[1].numpy()
    assert got.dtype == torch.int64
    assert got.tolist() == greedy(boxes.numpy(), order, threshold, offset)


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 60),
    whole=st.booleans(),
    levels=st.integers(1, 20),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    offset=st.sampled_from([0, 1]),
    block=st.sampled_from([1, 2, 7, 256]),
)
@settings(max_examples=150, deadline=None)
def test_equals_the_greedy_loop(seed, n, whole, levels, threshold, offset, block):
    """Random boxes, among them identical and empty ones, with ties in the scores, at any block size."""
    draw = torch.Generator().manual_seed(seed)
    low = torch.rand(n, 2, generator=draw) * 20
    boxes = torch.cat([low, low + torch.rand(n, 2, generator=draw) * 12], 1)
    if whole:
        boxes = boxes.round()
    scores = torch.randint(levels, (n,), generator=draw) / levels
    check(boxes, scores, threshold, offset, block=block)


@pytest.mark.parametrize("offset", [0, 1])
def test_many_boxes_of_several_classes(offset):
    draw = torch.Generator().manual_seed(3)
    low = torch.rand(1500, 2, generator=draw) * 100
    boxes = torch.cat([low, low + torch.rand(1500, 2, generator=draw) * 40], 1)
    boxes += torch.randint(4, (1500, 1), generator=draw) * (boxes.max() + 1)
    check(boxes, torch.rand(1500, generator=draw), 0.5, offset)


def test_no_boxes():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 0).tolist() == []


def test_identical_boxes_keep_one():
    assert len(nms(torch.tensor([[1.0, 2.0, 5.0, 6.0]]).repeat(700, 1), torch.rand(700), 0.5, 0)) == 1


def test_a_long_chain_of_suppressions():
    """Each box overlaps only its neighbours: every second one survives."""
    left = torch.arange(600.0)
    boxes = torch.stack([left, torch.zeros(600), left + 2, torch.ones(600)], 1)
    assert nms(boxes, torch.linspace(1, 0, 600), 0.3, 0).tolist() == list(range(0, 600, 2))


def test_equal_to_the_threshold_is_kept():
    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5, 0).tolist() == [0, 1]
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.49, 0).tolist() == [0]


def test_nan_and_reversed_boxes_behave_as_in_the_loop():
    draw = torch.Generator().manual_seed(5)
    boxes = torch.rand(400, 4, generator=draw) * 10
    boxes[::50, 1] = float("nan")
    scores = torch.rand(400, generator=draw)
    kept = nms(boxes, scores, 0.5, 0).tolist()
    assert set(range(0, 400, 50)) <= set(kept)
    whole = torch.rand(400, 4, generator=draw) * 10
    check(whole, scores, 0.5, 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types(dtype):
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], dtype=dtype)
    assert nms(boxes, torch.tensor([0.1, 0.9, 0.5], dtype=dtype), 0.5, 0).tolist() == [1, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_equals_cpu():
    draw = torch.Generator().manual_seed(1)
    low = torch.rand(3000, 2, generator=draw) * 300
    boxes = torch.cat([low, low + torch.rand(3000, 2, generator=draw) * 60], 1)
    scores = torch.rand(3000, generator=draw)
    assert nms(boxes.cuda(), scores.cuda(), 0.6, 0).tolist() == nms(boxes, scores, 0.6, 0).tolist()
