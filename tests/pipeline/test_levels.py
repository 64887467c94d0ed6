"""The transforms with a level, against the definitions of 2.x."""

from __future__ import annotations

import mmcv
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import TRANSFORMS

import deeplake_mmdet  # noqa: F401

HEIGHT, WIDTH = 60, 100
SIDES = {"X": WIDTH, "Y": HEIGHT}


def sample(boxes):
    masks = np.zeros((len(boxes), HEIGHT, WIDTH), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = 1
    draw = np.random.default_rng(0)
    return {
        "img": draw.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8),
        "img_shape": (HEIGHT, WIDTH),
        "gt_bboxes": HorizontalBoxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        "gt_bboxes_labels": np.arange(len(boxes)),
        "gt_ignore_flags": np.arange(len(boxes)) % 2 == 1,
        "gt_masks": BitmapMasks(masks, HEIGHT, WIDTH),
        "gt_seg_map": draw.integers(0, 9, (HEIGHT, WIDTH), np.uint8),
    }


def built(kind, magnitude, **changes):
    step = {"type": f"deeplake_mmdet.{kind}", "magnitude": magnitude, "prob": 1.0, **changes}
    return TRANSFORMS.build(step)


@pytest.mark.parametrize("kind", ["Brightness", "Contrast", "Color"])
@given(magnitude=st.floats(0.1, 1.9))
@settings(max_examples=10, deadline=None)
def test_colours_change_by_the_very_factor(kind, magnitude):
    results = sample([])
    right = getattr(mmcv, f"adjust_{kind.lower()}")(results["img"], magnitude)
    assert np.array_equal(built(kind, magnitude)(results)["img"], right.astype(np.uint8))


corner = st.tuples(st.integers(0, WIDTH - 10), st.integers(0, HEIGHT - 10))
box = st.tuples(corner, st.integers(2, 40), st.integers(2, 40)).map(
    lambda item: (*item[0], min(item[0][0] + item[1], WIDTH), min(item[0][1] + item[2], HEIGHT))
)


@given(
    boxes=st.lists(box, max_size=4),
    offset=st.integers(0, 120),
    axis=st.sampled_from("XY"),
    negative=st.booleans(),
    least=st.sampled_from([0, 3]),
)
@settings(max_examples=40, deadline=None)
def test_translations_are_by_pixels_and_what_leaves_the_image_goes(boxes, offset, axis, negative, least):
    step = built(f"Translate{axis}", offset, negative_prob=float(negative), min_size=least)
    results = step(sample(boxes))
    moved, first = -offset if negative else offset, 0 if axis == "X" else 1
    right = []
    for number, (left, top, *rest) in enumerate(boxes):
        corners = [left, top, *rest]
        for place in (first, first + 2):
            corners[place] = min(max(corners[place] + moved, 0), SIDES[axis])
        if min(corners[2] - corners[0], corners[3] - corners[1]) > least:
            right.append((number, corners))
    assert results["gt_bboxes_labels"].tolist() == [number for number, _ in right]
    assert results["gt_ignore_flags"].tolist() == [number % 2 == 1 for number, _ in right]
    assert results["gt_bboxes"].tensor.tolist() == [corners for _, corners in right]
    for mask, (left, top, end, bottom) in zip(results["gt_masks"].masks, [b for _, b in right], strict=True):
        ys, xs = np.nonzero(mask)
        assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (left, top, end, bottom)
    across = moved if axis == "X" else 0
    image = np.roll(sample([])["img"], (moved - across, across), (0, 1))
    inside = np.zeros((HEIGHT, WIDTH), bool)
    down = moved - across
    rows, columns = np.arange(HEIGHT)[:, None] - down, np.arange(WIDTH) - across
    inside[(rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)] = True
    assert (results["img"][inside] == image[inside]).all()
    assert (results["img"][~inside] == 128).all()


@pytest.mark.parametrize(("kind", "magnitude"), [("ShearX", 0.27), ("ShearY", 0.81), ("Rotate", 53.94)])
def test_boxes_follow_shears_and_rotations_exactly(kind, magnitude):
    boxes = [(40, 25, 60, 35)]
    ours = built(kind, magnitude, negative_prob=0.0)(sample(boxes))["gt_bboxes"].tensor[0].numpy()
    xs, ys = np.array([40, 60, 40, 60.0]), np.array([25, 25, 35, 35.0])
    if kind == "ShearX":
        xs = xs + magnitude * ys
    elif kind == "ShearY":
        ys = ys + magnitude * xs
    else:
        angle, x, y = np.radians(magnitude), (WIDTH - 1) / 2, (HEIGHT - 1) / 2
        dx, dy = xs - x, ys - y
        xs, ys = x + dx * np.cos(angle) - dy * np.sin(angle), y + dx * np.sin(angle) + dy * np.cos(angle)
    right = [xs.min(), ys.min(), xs.max(), ys.max()]
    assert ours == pytest.approx(np.clip(right, 0, [WIDTH, HEIGHT] * 2), abs=1e-3)


def test_directions_and_how_often():
    np.random.seed(0)
    shifted = []
    step = built("TranslateX", 10, prob=0.5, negative_prob=0.2)
    for _ in range(400):
        shifted.append(float(step(sample([(40, 20, 60, 40)]))["gt_bboxes"].tensor[0, 0]) - 40)
    assert 0.42 < np.mean(np.array(shifted) == 0) < 0.58
    assert 0.12 < np.mean(np.array(shifted) == -10) / 0.5 < 0.28
