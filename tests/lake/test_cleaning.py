"""Boxes that fall away in numbers are told of, with the way out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deeplake_mmdet.lake import BoxFormat, Source, clean_boxes, open_view

W, H = 96, 64
FORMATS = [f"{mode}_{unit}" for mode in ("ltwh", "ltrb", "ccwh") for unit in ("pixel", "fractional")]
kept: list[object] = []  # lakes in memory go with their handles


def stored(xywh, name):
    """Boxes, (left, top, width, height) in pixels, as a lake of that format stores them."""
    mode, unit = name.split("_")
    out = np.array(xywh, np.float64)
    if mode == "ltrb":
        out[:, 2:] += out[:, :2]
    if mode == "ccwh":
        out[:, :2] += out[:, 2:] / 2
    return out / (W, H, W, H) if unit == "fractional" else out


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.uniform(6, 40, (count, 2))
    return np.concatenate([rng.uniform(0, 1, (count, 2)) * ((W, H) - size), size], axis=1)


@pytest.fixture
def view_of(make_lake, encode):
    def make(boxes, declared="ltwh_pixel", classes=None, labels=None, tensors=None, **columns):
        groups = np.array_split(np.asarray(boxes), 4)
        labels = np.zeros(len(boxes), np.uint32) if labels is None else np.asarray(labels, np.uint32)
        lake = make_lake(
            images=[encode(W, H)] * 4,
            boxes=groups,
            labels=np.array_split(labels, 4),
            **{name: np.array_split(np.asarray(values, float), 4) for name, values in columns.items()},
        )
        kept.append(lake)
        return open_view(Source(lake.url), box_format=declared, classes=classes, tensors=tensors)

    return make


@pytest.mark.parametrize("name", FORMATS)
def test_sound_boxes_raise_no_doubt(view_of, name):
    done = clean_boxes(view_of(stored(drawn(80), name), name))
    assert (done.selected, done.usable, sum(done.left_out.values())) == (80, 80, 0)
    assert done.doubt() is None
    assert not done.is_hopeless


PAIRS = [
    (actual, declared)
    for actual, declared in itertools.permutations(FORMATS, 2)
    if {actual[:4], declared[:4]} != {"ccwh", "ltwh"} or actual[5:] != declared[5:]
]


@pytest.mark.parametrize(("actual", "declared"), PAIRS)
def test_a_misread_format_is_told_with_one_that_fits(view_of, actual, declared):
    view = view_of(stored(drawn(80), actual), declared)
    doubt = clean_boxes(view).doubt()
    assert doubt is not None
    assert f"read as {declared}" in str(doubt)
    advised = str(doubt).rsplit("box_format='", 1)[1].split("'")[0]
    assert BoxFormat.parse(advised).unit == actual[5:]
    if declared[5:] == actual[5:]:
        assert (advised == actual) or {advised[:4], actual[:4]} == {"ltwh", "ccwh"}
    again = view_of(stored(drawn(80), actual), advised)
    assert clean_boxes(again).doubt() is None


def test_fractions_read_as_pixels_are_hopeless(view_of):
    done = clean_boxes(view_of(stored(drawn(80), "ltwh_fractional"), "ltwh_pixel"))
    assert done.is_hopeless
    assert "80 of 80 boxes" in str(done.doubt())
    assert "box_format='ltwh_fractional'" in str(done.doubt())


def test_corners_as_sizes_are_a_warning_not_an_end(view_of):
    """Boxes that reach beyond their images are cut off there, as in stock MMDetection, and still train."""
    done = clean_boxes(view_of(stored(drawn(80), "ltrb_pixel"), "ltwh_pixel"))
    assert not done.is_hopeless
    assert "reach beyond their images" in str(done.doubt())
    assert "box_format='ltrb_pixel'" in str(done.doubt())


def test_boxes_that_are_drawn_over_the_edge_are_no_fault(view_of):
    boxes = drawn(80)
    boxes[::3, 0] -= 30
    assert clean_boxes(view_of(boxes)).doubt() is None


def test_a_tenth_may_fall_away_unsaid(view_of):
    boxes = drawn(100)
    boxes[:10, 2] = 0.5
    assert clean_boxes(view_of(boxes)).doubt() is None
    boxes[10, 3] = 0.5
    done = clean_boxes(view_of(boxes))
    assert "11 of 100 boxes of the selected classes are left out: 11 smaller than a pixel" in str(
        done.doubt()
    )
    assert not done.is_hopeless


@pytest.mark.parametrize(("lost", "hopeless"), [(94, False), (95, True), (100, True)])
def test_areas_of_zero(view_of, lost, hopeless):
    areas = np.full(100, 9.0)
    areas[:lost] = 0
    done = clean_boxes(view_of(drawn(100), areas=areas))
    assert done.is_hopeless == hopeless
    assert f"{lost} of area 0" in str(done.doubt())
    assert "'areas'" in str(done.doubt())
    assert "tensors=dict(area=False)" in str(done.doubt())
    off = clean_boxes(view_of(drawn(100), areas=areas, tensors={"area": False}))
    assert off.doubt() is None


def test_few_boxes_end_training_only_if_none_is_left(view_of):
    boxes = drawn(8)
    boxes[1:, 2] = 0.5
    assert not clean_boxes(view_of(boxes)).is_hopeless
    boxes[:, 2] = 0.5
    assert clean_boxes(view_of(boxes)).is_hopeless
    done = clean_boxes(view_of(boxes[:4]))  # as in stock MMDetection, but said
    assert not done.is_hopeless
    assert "4 of 4 boxes" in str(done.doubt())


def test_flags_that_mean_something_else(view_of):
    done = clean_boxes(view_of(drawn(40), ignores=np.ones(40)))
    assert done.is_hopeless
    assert "tensors=dict(ignore=False)" in str(done.doubt())
    done = clean_boxes(view_of(drawn(40), iscrowds=np.ones(40)))
    assert done.is_hopeless
    assert "All 40 boxes are ignored in training" in str(done.doubt())
    assert "tensors=dict(iscrowd=False)" in str(done.doubt())
    some = np.arange(40) % 2
    assert clean_boxes(view_of(drawn(40), iscrowds=some)).doubt() is None


def test_classes_that_are_not_selected_are_the_users_wish(view_of):
    labels = np.arange(100) < 95
    done = clean_boxes(view_of(drawn(100), classes=["a"], labels=labels))
    assert done.doubt() is None
    assert "95 of other classes" in str(done)
    assert (done.others, done.selected, done.usable) == (95, 5, 5)


def test_nothing_of_the_selected_classes_is_told(view_of):
    done = clean_boxes(view_of(drawn(20), classes=["b"]))
    assert "None of the 20 boxes is of a class that is selected ('b')" in str(done.doubt())
    assert "the lake has 'a', 'b'" in str(done.doubt())
    assert not done.is_hopeless  # images of what is not looked for


def test_no_boxes_at_all_are_no_fault(view_of):
    done = clean_boxes(view_of(np.zeros((0, 4))))
    assert done.doubt() is None
    assert not done.is_hopeless
