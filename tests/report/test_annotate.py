"""Labels hide neither each other nor the objects, and nothing that is drawn ends a drawing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle

from deeplake_mmdet.report import MosaicItem, Objects, annotate, fitting_tile, prediction_mosaic
from deeplake_mmdet.report.annotate import as_bgr
from deeplake_mmdet.report.label_places import HIDES_AT_MOST, place_labels
from deeplake_mmdet.report.palette import class_colour

GREY = np.full((200, 300, 3), 120, np.uint8)
HOSTILE = ["a" * 200, "$a$", "$\\frac{$", "<b>x</b>", "阿猫", "é\x1b[31m\n", "", "\ud800", "{}%s"]


@st.composite
def crowds(draw):
    width, height = draw(st.tuples(st.integers(20, 500), st.integers(20, 500)))
    count = draw(st.integers(0, 40))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    corners = seed.uniform(0, 1, (count, 2)) * (width, height)
    sides = seed.uniform(0, 1, (count, 2)) * draw(st.floats(0.02, 1)) * (width, height)
    boxes = np.concatenate([corners, np.minimum(corners + sides, (width, height))], axis=1)
    sizes = np.stack([seed.uniform(10, 90, count), np.full(count, draw(st.integers(8, 24)))], axis=1)
    return boxes, sizes, (width, height)


@settings(max_examples=120, deadline=None)
@given(crowds(), st.booleans())
def test_labels_never_overlap_nor_leave_the_picture_nor_hide_a_box(crowd, leaders):
    boxes, sizes, canvas = crowd
    corners, led = place_labels(boxes, sizes, canvas, leaders=leaders)
    placed = np.flatnonzero(~np.isnan(corners[:, 0]))
    starts, ends = corners[placed], corners[placed] + sizes[placed]
    assert (starts >= 0).all()
    assert (ends <= np.array(canvas) + 1e-9).all()
    assert leaders or not led.any()
    for at in range(len(placed)):
        apart = (ends[at] <= starts).any(axis=1) | (ends <= starts[at]).any(axis=1)
        apart[at] = True
        assert apart.all()
        inter = (np.minimum(ends[at], boxes[:, 2:]) - np.maximum(starts[at], boxes[:, :2])).clip(min=0)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        large = areas > 400  # of tiny boxes rounding to whole pixels is much
        hidden = inter.prod(axis=1)[large] / areas[large]
        assert hidden.max(initial=0) <= HIDES_AT_MOST + 0.05


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.booleans())
def test_where_there_is_room_every_label_has_a_place(across, down, leaders):
    """Boxes that stand apart, with room for a label above each."""
    boxes = [[90 * x + 5, 60 * y + 22, 90 * x + 80, 60 * y + 58] for x in range(across) for y in range(down)]
    places = place_labels(boxes, [(60, 14)] * len(boxes), (90 * across, 60 * down), leaders=leaders)
    assert not np.isnan(places.corners).any()
    assert not places.led.any()


def test_a_label_that_fits_nowhere_is_left_out_or_becomes_a_number():
    boxes = [[0, 0, 40, 40], [2, 2, 38, 38], [4, 4, 36, 36]]
    objects = Objects(boxes, [0, 0, 0])
    image = np.full((40, 40, 3), 120, np.uint8)
    drawn = annotate(image, objects, ["a very long name"])
    assert drawn.unlabelled == 3
    big = np.full((60, 60, 3), 120, np.uint8)
    named = annotate(big, objects, ["a very long name"], numbers=True, text_size=10)
    assert named.listed
    assert set(named.listed) == {"a very long name"}
    assert named.unlabelled + len(named.listed) == 3


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.full((60, 40, 1), 9, np.uint8),
        np.full((60, 40, 4), 9, np.uint8),
        np.full((60, 40), 40000, np.uint16),
        np.full((60, 40, 3), 0.5, np.float32),
        np.full((60, 40, 3), np.nan),
        np.ones((60, 40), bool),
        np.full((2, 3000, 3), 9, np.uint8),
    ],
)
def test_images_of_any_kind_are_drawn_on(image, tmp_path):
    objects = Objects([[0, 0, 30, 30], [-5, -5, 1e9, 1e9]], [0, 1], [0.9, 0.8])
    drawn = annotate(image, objects, ["cat", "dog"]).image
    assert drawn.shape == (*image.shape[:2], 3)
    assert drawn.dtype == np.uint8
    item = MosaicItem(image, [[0, 0, 1, 1]], [0], *objects[:3])
    out = prediction_mosaic(
        [item], ["cat", "dog"], tmp_path / "m.jpg", tile=fitting_tile(image), numbers=True
    )
    assert cv2.imread(str(out)) is not None


def test_of_16_bits_the_upper_ones_count():
    assert as_bgr(np.full((2, 2), 40000, np.uint16))[0, 0].tolist() == [40000 >> 8] * 3


def test_names_are_texts_and_never_formulas_or_commands(tmp_path):
    count = len(HOSTILE)
    boxes = np.tile([5, 5, 150, 150], (count, 1)) + np.arange(count)[:, None] * 5
    objects = Objects(boxes, np.arange(count), np.linspace(0.5, 1, count))
    drawn = annotate(GREY, objects, HOSTILE, numbers=True)
    assert max(map(len, drawn.listed), default=0) < 60
    item = MosaicItem(GREY, boxes, range(count), *objects[:3], caption=HOSTILE[0])
    out = prediction_mosaic([item], HOSTILE, tmp_path / "m.png", title=HOSTILE[5], heading=HOSTILE[1])
    assert cv2.imread(str(out)) is not None
    assert annotate(GREY, Objects([[5, 5, 50, 50]], [99]), ["one"]).image.shape == GREY.shape


def test_ten_thousand_boxes_are_drawn():
    seed = np.random.default_rng(0)
    corners = seed.uniform(0, 180, (10_000, 2))
    boxes = np.concatenate([corners, corners + seed.uniform(0, 60, (10_000, 2))], axis=1)
    drawn = annotate(GREY, Objects(boxes, seed.integers(0, 5, 10_000), seed.random(10_000)), list("abcde"))
    assert drawn.unlabelled > 9000
    assert drawn.image.shape == GREY.shape


@pytest.mark.parametrize(
    "boxes", [[], [[np.inf, -np.inf, np.nan, 4]], [[10, 10, 5, 5]], [[400, 400, 500, 500]]]
)
def test_boxes_that_are_none_are_no_error(boxes):
    drawn = annotate(GREY, Objects(boxes, [0] * len(boxes)), ["one"])
    assert drawn.image.shape == GREY.shape


def test_scores_below_the_threshold_are_counted_and_left_out():
    boxes = [[10, 30, 60, 80], [100, 30, 160, 80], [200, 30, 260, 80]]
    drawn = annotate(GREY, Objects(boxes, [0, 1, 2], [0.2, 0.5, 0.9]), list("abc"), min_score=0.5)
    assert drawn.below == 1
    shown = [(np.all(drawn.image == class_colour(label)[::-1], axis=2)).sum() for label in range(3)]
    assert shown[0] == 0
    assert min(shown[1:]) > 50


def test_boxes_end_at_the_edge_of_the_image_and_keep_its_scale(tmp_path):
    inside, beyond = [[10, 30, 60, 80]], [[10, 30, 6000, 8000]]
    items = [MosaicItem(GREY, box, [0], box, [0], [0.9]) for box in (inside, beyond)]
    pictures = [
        cv2.imread(str(prediction_mosaic([item], ["a"], tmp_path / f"{number}.png")))
        for number, item in enumerate(items)
    ]
    assert pictures[0].shape == pictures[1].shape
    # The images fill the same part of both halves of both pictures.
    grey = [np.all(picture[60:300] == 120, axis=2).any(axis=0) for picture in pictures]
    assert [np.flatnonzero(one)[0] for one in grey] == [16, 16]
    assert np.flatnonzero(grey[0])[-1] == 16 + 2 * 360 + 4 - 1


@pytest.mark.parametrize("form", ["dense", "bytes", "text"])
def test_masks_are_translucent_and_keep_to_their_objects(form):
    image = np.random.default_rng(0).integers(0, 255, (80, 120, 3)).astype(np.uint8)
    mask = np.zeros((80, 120), bool)
    mask[20:60, 30:90] = True
    encoded = rle.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    given = {"dense": mask, "bytes": encoded, "text": encoded.decode()}[form]
    objects = Objects([[30, 20, 90, 60]], [2], None, [given])
    drawn = annotate(image, objects, list("abc"), labels=False).image
    inside = (slice(25, 55), slice(35, 85))
    assert (drawn[inside] != image[inside]).any(axis=2).mean() > 0.9
    # The image shows through: what is drawn follows it.
    assert np.corrcoef(drawn[inside].ravel(), image[inside].ravel())[0, 1] > 0.8
    np.testing.assert_array_equal(drawn[65:], image[65:])


def test_what_is_missed_and_what_is_false_looks_different():
    box = [[40, 40, 160, 140]]
    pictures = {
        kind: annotate(GREY, Objects(box, [0], None, None, [kind]), ["a"]).image
        for kind in ("", "missed", "false", "ignored")
    }
    drawn = list(pictures.values())
    for at, one in enumerate(drawn):
        for other in drawn[at + 1 :]:
            assert (one != other).any(axis=2).sum() > 50
    white = {kind: int(np.all(one == 255, axis=2).sum()) for kind, one in pictures.items()}
    assert white["missed"] > 100
    assert white["false"] > 100
    assert white[""] < 20
