"""The demo's images are reproducible, varied, and truthfully annotated."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deeplake_mmdet.demo.drawing import CLASS_NAMES, MIN_VISIBLE, Scene, demo_images, draw_scene

COUNT = 120


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(3, index) for index in range(COUNT)]


def test_a_scene_depends_on_seed_and_index_alone(scenes):
    again = draw_scene(3, 7)
    np.testing.assert_array_equal(again.image, scenes[7].image)
    np.testing.assert_array_equal(again.boxes, scenes[7].boxes)
    np.testing.assert_array_equal(again.labels, scenes[7].labels)
    other = draw_scene(4, 7)
    assert other.image.shape != again.image.shape or np.any(other.image != again.image)


def test_global_random_state_is_neither_used_nor_changed():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = draw_scene(0, 0).image
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    np.testing.assert_array_equal(draw_scene(0, 0).image, first)


def test_types_and_shapes(scenes):
    for scene in scenes:
        count = len(scene.labels)
        assert scene.image.dtype == np.uint8
        assert scene.image.ndim == 3
        assert scene.boxes.dtype == np.float64
        assert scene.boxes.shape == (count, 4)
        assert scene.labels.dtype == np.int64
        assert scene.visible.shape == (count,)
        assert scene.owner.shape == scene.image.shape[:2]


def test_boxes_are_inside_and_tight_around_what_is_seen(scenes):
    for scene in scenes:
        height, width = scene.image.shape[:2]
        for number, (x1, y1, x2, y2) in enumerate(scene.boxes.astype(int)):
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            seen = scene.owner == number
            assert seen[y1:y2, x1:x2].sum() == seen.sum() > 0
            assert seen[y1].any()
            assert seen[y2 - 1].any()
            assert seen[:, x1].any()
            assert seen[:, x2 - 1].any()


def test_everything_drawn_is_annotated(scenes):
    for scene in scenes:
        assert set(np.unique(scene.owner)) - {-1} == set(range(len(scene.labels)))
        assert np.all(scene.visible >= MIN_VISIBLE)
        assert np.all(scene.visible <= 1)


def test_the_data_set_is_varied(scenes):
    labels = np.concatenate([scene.labels for scene in scenes])
    assert np.bincount(labels, minlength=len(CLASS_NAMES)).min() > len(labels) / len(CLASS_NAMES) / 2
    empty = sum(len(scene.labels) == 0 for scene in scenes)
    assert 0.02 * COUNT <= empty <= 0.2 * COUNT
    assert len({scene.image.shape for scene in scenes}) > COUNT / 3
    sides = np.concatenate([scene.boxes[:, 2] - scene.boxes[:, 0] for scene in scenes])
    assert sides.min() < 40
    assert sides.max() > 90


def test_some_objects_hide_parts_of_others(scenes):
    hidden = 0
    for scene in scenes:
        height, width = scene.image.shape[:2]
        whole = (scene.boxes[:, :2] > 0).all(1) & (scene.boxes[:, 2] < width) & (scene.boxes[:, 3] < height)
        hidden += int(np.count_nonzero(whole & (scene.visible < 0.95)))
    assert hidden > COUNT / 10


def test_objects_can_be_seen_against_the_background(scenes):
    # The ground truth would be a lie if an object did not change the picture.
    for scene in scenes[:30]:
        for number in range(len(scene.labels)):
            inside = (scene.owner == number).astype(np.uint8)
            around = cv2.dilate(inside, np.ones((9, 9), np.uint8)) & (scene.owner == -1).astype(np.uint8)
            if around.sum() > 50:
                inner = scene.image[inside == 1].astype(float)
                outer = scene.image[around == 1].astype(float)
                differs = (
                    np.abs(inner.mean(0) - outer.mean(0)).max() + np.abs(inner.std(0) - outer.std(0)).max()
                )
                assert differs > 5


def test_jpegs_decode_to_the_scene():
    pairs = list(demo_images(4, 9))
    assert len(pairs) == 4
    for index, (encoded, scene) in enumerate(pairs):
        assert encoded[:2] == b"\xff\xd8"
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == scene.image.shape
        assert np.abs(decoded.astype(int) - scene.image).mean() < 8
        np.testing.assert_array_equal(scene.boxes, draw_scene(9, index).boxes)
