"""Masks as people write them: taken, converted or refused, and never pycocotools' death."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from deeplake_mmdet.formats import read_segmentation
from deeplake_mmdet.lake.images.segmentation import segmentation_fault

SIZE = (24, 32)
SQUARE = [3, 4, 20, 4, 20, 15, 3, 15]
FLOATS = [3.5, 4.25, 20.125, 4, 20, 15]
NAN, INF = float("nan"), float("inf")


def pixels(mask: Any) -> np.ndarray:
    """What pycocotools makes of a sound segmentation."""
    if isinstance(mask, list):
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(mask, *SIZE)))
    if isinstance(mask["counts"], list):
        mask = coco_mask.frPyObjects(mask, *SIZE)
    return coco_mask.decode(mask)


DRAWN = pixels([SQUARE])
TEXT = coco_mask.encode(np.asfortranarray(DRAWN))["counts"].decode()
RUN: dict[str, Any] = {"size": [24, 32], "counts": TEXT}


def counts_of(drawn: np.ndarray) -> list[int]:
    flat = drawn.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return [0, *counts] if flat[0] else counts


LIST: dict[str, Any] = {"size": [24, 32], "counts": counts_of(DRAWN)}
OTHER = pixels([FLOATS])
OTHER_RUN = {"size": [24, 32], "counts": counts_of(OTHER)}


@pytest.mark.parametrize(
    "value",
    [[SQUARE], [FLOATS], [SQUARE, FLOATS], RUN, LIST, {**LIST, "more": 1}, [[-5, -5, 1e5, 0, 9, 9.5]]],
)
def test_sound_masks_are_taken_as_they_are(value: Any) -> None:
    reading = read_segmentation(value, SIZE)
    assert reading.mask is value
    assert reading.reason is None


@pytest.mark.parametrize("value", [None, [], {}, "", " ", [[]], [[], []], "[]", "null", "{}"])
def test_no_mask_is_none_and_no_fault(value: Any) -> None:
    reading = read_segmentation(value, SIZE)
    assert not reading.mask
    assert reading.reason is None


SQUARED = DRAWN
CONVERTED: dict[str, tuple[Any, np.ndarray, str]] = {
    "flat": (SQUARE, DRAWN, "without its list"),
    "text of polygons": (json.dumps([SQUARE]), DRAWN, "written as text"),
    "text of a flat list": (json.dumps(SQUARE), DRAWN, "written as text"),
    "text of run lengths": (json.dumps(LIST), DRAWN, "written as text"),
    "numbers as text": ([[*map(str, SQUARE)]], DRAWN, "numbers written as text"),
    "flat numbers as text": ([*map(str, SQUARE)], DRAWN, "numbers written as text"),
    "polygon of pairs": ([[[3, 4], [20, 4], [20, 15], [3, 15]]], DRAWN, "points as pairs"),
    "pairs": ([[3, 4], [20, 4], [20, 15], [3, 15]], DRAWN, "points as pairs"),
    "points": ([{"x": 3, "y": 4}, {"x": 20, "y": 4}, {"x": 20, "y": 15}, {"x": 3, "y": 15}], DRAWN, "pairs"),
    "polygon of points": (
        [[{"x": x, "y": y} for x, y in ((3, 4), (20, 4), (20, 15), (3, 15))]],
        DRAWN,
        "pairs",
    ),
    "nested": ([[SQUARE]], DRAWN, "nested"),
    "list of one run lengths": ([RUN], DRAWN, "in a list"),
    "list of run lengths": ([RUN, OTHER_RUN], DRAWN | OTHER, "several run lengths"),
    "floats as run lengths": ({**LIST, "counts": [*map(float, LIST["counts"])]}, DRAWN, "whole numbers"),
    "texts as run lengths": ({**LIST, "counts": [*map(str, LIST["counts"])]}, DRAWN, "whole numbers"),
    "bytes": ({**RUN, "counts": TEXT.encode()}, DRAWN, "bytes"),
    "no size": ({"counts": LIST["counts"]}, DRAWN, "without a size"),
    "no size, compressed": ({"counts": TEXT, "size": None}, DRAWN, "without a size"),
    "floats as size": ({**RUN, "size": [24.0, 32.0]}, DRAWN, "size"),
    "odd beside sound": ([SQUARE, [1, 2, 3, 4, 5, 6, 7]], DRAWN, "odd number"),
    "short beside sound": ([[30, 30], SQUARE], DRAWN, "less than three points"),
    "box beside sound": ([[1, 1, 5, 5], SQUARE], DRAWN, "less than three points"),
    "junk beside sound": ([SQUARE, None], DRAWN, "no polygon"),
    "far beside sound": ([SQUARE, [1, 2, 3, 1e300, 5, 6]], DRAWN, "a million pixels"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_has_a_certain_meaning_is_converted(name: str) -> None:
    value, expected, reason = CONVERTED[name]
    reading = read_segmentation(value, SIZE)
    assert segmentation_fault(reading.mask, SIZE) is None
    assert (pixels(reading.mask) == expected).all()
    assert reading.reason is not None
    assert reading.reason.startswith("mask converted: ")
    assert reason in reading.reason
    json.dumps(reading.mask)


REFUSED: dict[str, tuple[Any, str]] = {
    "odd": ([SQUARE[:7]], "odd number of coordinates"),
    "line": ([[5, 6, 25, 6]], "less than three points"),
    "two pairs": ([[5, 6], [25, 6]], "less than three points"),
    "not a number": ([[1, 2, 3, NAN, 5, 6]], "not finite"),
    "endless": ([[1, 2, 3, -INF, 5, 6]], "not finite"),
    "text not a number": ([["1", "2", "3", "nan", "5", "6"]], "not finite"),
    "far": ([[1, 2, 3, 1e300, 5, 6]], "a million pixels"),
    "far, flat": ([1, 2, 3, -1e7, 5, 6], "a million pixels"),
    "beyond floats": ([[1, 2, 3, 10**400, 5, 6]], "a million pixels"),
    "long": ([[0, 0, 9e5, 9e5] * 4], "two million"),
    "number": (7, "int"),
    "true": (True, "bool"),
    "word": ("polygon", "not JSON"),
    "half a text": ("[[1, 2, 3", "not JSON"),
    "text in a text": (json.dumps(json.dumps([SQUARE])), "str"),
    "deep text": ("[" * 100_000, "not JSON"),
    "texts": ([["a", "b", "c", "d", "e", "f"]], "no polygon"),
    "holes": ([[1, 2, None, 4, 5, 6]], "no polygon"),
    "truths": ([[True] * 6], "no polygon"),
    "columns of points": ({"all_points_x": [1, 2, 3], "all_points_y": [1, 2, 3]}, "without run lengths"),
    "points with visibility": ([[[1, 2, 2], [3, 4, 2], [5, 6, 2]]], "odd number"),
    "swapped": ({**LIST, "size": [32, 24]}, "another size"),
    "other size": ({"size": [2, 2], "counts": [4]}, "another size"),
    "size of a number": ({**LIST, "size": 768}, "not [height, width]"),
    "size of three": ({**LIST, "size": [24, 32, 3]}, "not [height, width]"),
    "size of words": ({**LIST, "size": ["a", "b"]}, "no whole numbers"),
    "too few": ({"size": [24, 32], "counts": [700]}, "do not fill"),
    "too many": ({"size": [24, 32], "counts": [700, 69]}, "do not fill"),
    "none": ({"size": [24, 32], "counts": []}, "do not fill"),
    "no size, too few": ({"counts": [700]}, "no size"),
    "negative": ({"size": [24, 32], "counts": [800, -32]}, "cannot be read"),
    "fractions": ({"size": [24, 32], "counts": [700.5, 67.5]}, "no whole numbers"),
    "holes in counts": ({"size": [24, 32], "counts": [700, None, 68]}, "no whole numbers"),
    "endless counts": ({"size": [24, 32], "counts": [INF]}, "no whole numbers"),
    "huge counts": ({"size": [24, 32], "counts": [10**30]}, "cannot be read"),
    "corrupt": ({"size": [24, 32], "counts": "abc"}, "cannot be read"),
    "no text of COCO's": ({"size": [24, 32], "counts": "åß"}, "cannot be read"),
    "cut off": ({"size": [24, 32], "counts": TEXT[:-1]}, ""),
    "counts of another kind": ({"size": [24, 32], "counts": {"a": 1}}, "cannot be read"),
    "one of several": ([LIST, {"size": [32, 24], "counts": [768]}], "another size"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_with_its_reason(name: str) -> None:
    value, reason = REFUSED[name]
    reading = read_segmentation(value, SIZE)
    assert reading.mask is None
    assert reading.reason is not None
    assert reading.reason.startswith("mask cannot be used: ")
    assert reason in reading.reason


def test_run_lengths_in_images_of_unknown_size_are_held_against_their_own() -> None:
    assert read_segmentation(LIST, None).mask is LIST
    assert read_segmentation({"size": [24, 33], "counts": LIST["counts"]}, None).mask is None
    assert read_segmentation({"counts": LIST["counts"]}, None).mask is None


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.integers(-40, 40)
    | st.sampled_from(["", "3", "x", "1e999", TEXT, "[[1,2,3,4,5,6]]"])
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.sampled_from(["size", "counts", "x", "y", "a"]), inner, max_size=3)
        | st.fixed_dictionaries({"size": st.just([24, 32]), "counts": inner})
    ),
    max_leaves=20,
)


@settings(max_examples=600, deadline=None)
@given(value=junk)
def test_whatever_comes_the_outcome_is_sound(value: Any) -> None:
    reading = read_segmentation(value, SIZE)
    assert segmentation_fault(reading.mask, SIZE) is None
    if reading.mask:
        assert pixels(reading.mask).shape == SIZE
    segmentation_fault(value, SIZE)  # a lake may hold it as well
