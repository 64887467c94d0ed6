"""Mosaics show each image twice, with its boxes where they belong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.report import MosaicItem, prediction_mosaic
from deeplake_mmdet.report.palette import class_colour, ink_on

GREY, TOP = 90, 8 + 34  # of the image, and of the first row of tiles


def item(scores=(0.9,), label=1):
    image = np.full((140, 180, 3), GREY, np.uint8)
    count = len(scores)
    return MosaicItem(
        image, [[20, 30, 80, 90]], [0], [[22, 31, 79, 92]] * count, [label] * count, list(scores)
    )


def colour_count(part, label):
    return int(np.all(part == class_colour(label)[::-1], axis=2).sum())


def test_truth_left_prediction_right(tmp_path):
    out = prediction_mosaic([item()], ["ball", "ring"], tmp_path / "m.png", columns=1, tile=(360, 280))
    picture = cv2.imread(str(out))
    assert picture.shape[1] == 2 * 16 + 2 * 360 + 4
    left, right = picture[TOP : TOP + 280, 16:376], picture[TOP : TOP + 280, 380:740]
    assert colour_count(left, 0) > 300
    assert colour_count(left, 1) == 0
    assert colour_count(right, 1) > 300
    assert colour_count(right, 0) == 0
    # The tile is twice the image's size: the frame's corner lies at twice the box's corner.
    rows, columns = np.nonzero(np.all(left == class_colour(0)[::-1], axis=2))
    assert columns.min() == pytest.approx(40, abs=2)
    assert columns.max() == pytest.approx(159, abs=2)
    assert rows.max() == pytest.approx(179, abs=2)


def test_the_truth_alone(tmp_path):
    names = ["ball", "ring"]
    out = prediction_mosaic([item()] * 2, names, tmp_path / "m.png", truth_only=True)
    picture = cv2.imread(str(out))
    assert picture.shape[1] == 2 * 16 + 2 * 360 + 20
    assert colour_count(picture[TOP : TOP + 280, 16:376], 0) > 300
    assert colour_count(picture[TOP : TOP + 280, 396:756], 0) > 300
    assert colour_count(picture[:330], 1) == 0


def test_low_scores_are_left_out(tmp_path):
    out = prediction_mosaic([item((0.2, 0.29))], ["ball", "ring"], tmp_path / "m.png", columns=1)
    assert colour_count(cv2.imread(str(out))[TOP : TOP + 280, 380:740], 1) == 0


def test_columns_rows_and_empty_images(tmp_path):
    image = np.full((200, 90, 3), GREY, np.uint8)
    empty = MosaicItem(image, np.zeros((0, 4)), [], np.zeros((0, 4)), [], [])
    one = cv2.imread(str(prediction_mosaic([empty], ["a"], tmp_path / "1.png", columns=3)))
    five = cv2.imread(str(prediction_mosaic([empty] * 5, ["a"], tmp_path / "5.png", columns=2)))
    assert five.shape[1] == 2 * one.shape[1] - 2 * 16 + 20
    assert five.shape[0] == one.shape[0] + 2 * (280 + 22 + 4)
    assert np.all(one[TOP : TOP + 280, 16:376] == GREY, axis=2).sum() == pytest.approx(280 * 126, rel=0.01)


def test_plain_tuples_and_many_classes(tmp_path):
    names = [f"class number {number}" for number in range(30)]
    boxes, labels = [[2, 2, 30, 30]] * 30, range(30)
    shown = MosaicItem(np.full((60, 60, 3), GREY, np.uint8), boxes, labels, boxes, labels, [0.9] * 30)
    few = prediction_mosaic([tuple(item())], names, tmp_path / "deep" / "m.png")
    many = prediction_mosaic([tuple(shown)], names, tmp_path / "deep" / "n.png")
    assert cv2.imread(str(many)).shape[0] > cv2.imread(str(few)).shape[0] + 4 * 20


@pytest.mark.parametrize(("items", "columns"), [([], 2), ([item()], 0)])
def test_nothing_to_show_is_refused(tmp_path, items, columns):
    with pytest.raises(ConfigError, match="at least one"):
        prediction_mosaic(items, ["ball", "ring"], tmp_path / "m.png", columns=columns)


def test_colours_differ_and_can_be_written_on():
    assert len({class_colour(label) for label in range(16)}) == 16
    assert class_colour(16) == class_colour(0)
    assert ink_on((255, 255, 0)) == (0, 0, 0)
    assert ink_on((51, 34, 136)) == (255, 255, 255)
