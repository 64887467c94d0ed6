"""Flips are stock MMDetection's, and leave the generators where it leaves them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets.transforms import RandomFlip
from mmdet.structures.bbox import HorizontalBoxes

from deeplake_mmdet.pipeline.stand_ins import flip_quickly
from deeplake_mmdet.pipeline.steps import run_steps

DIRECTIONS = ("horizontal", "vertical", "diagonal")


def sample(seed: int) -> dict:
    random = np.random.default_rng(seed)
    return {
        "img": random.integers(0, 256, (6, 9, 3), np.uint8),
        "img_shape": (6, 9),
        "gt_bboxes": HorizontalBoxes(random.uniform(0, 6, (3, 4)).astype(np.float32)),
        "gt_seg_map": random.integers(0, 5, (6, 9), np.uint8),
    }


@settings(deadline=None)
@given(
    prob=st.floats(0, 1),
    direction=st.sampled_from(DIRECTIONS) | st.lists(st.sampled_from(DIRECTIONS), min_size=1, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_flips_and_draws_are_stocks(prob, direction, seed) -> None:
    step = RandomFlip(prob=prob, direction=direction)
    np.random.seed(seed)
    theirs, after = step(sample(seed)), np.random.random_sample()
    np.random.seed(seed)
    ours = flip_quickly(step, sample(seed))
    assert np.random.random_sample() == after
    assert ours.keys() == theirs.keys()
    assert (ours["flip"], ours["flip_direction"]) == (theirs["flip"], theirs["flip_direction"])
    assert ours["gt_bboxes"].tensor.equal(theirs["gt_bboxes"].tensor)
    for key in ("img", "gt_seg_map", *({"homography_matrix"} & theirs.keys())):
        assert np.array_equal(ours[key], theirs[key])


@pytest.mark.parametrize("told", [{"prob": [0.3, 0.5], "direction": ["horizontal", "vertical"]}, {"prob": 1}])
def test_what_is_unusual_is_left_to_stock(told) -> None:
    if told["prob"] == 1:
        step = RandomFlip(prob=1.0)
        step.prob = 1  # as a hook may set it
    else:
        step = RandomFlip(**told)
    assert flip_quickly(step, sample(0)) is None


class AlwaysVertical(RandomFlip):
    def _choose_direction(self) -> str:
        return "vertical"


def test_a_users_own_flip_is_run_as_it_is() -> None:
    found = run_steps([AlwaysVertical(prob=0.0)], sample(1))
    assert np.array_equal(found["img"], sample(1)["img"][::-1])
