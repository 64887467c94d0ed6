import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplake_mmdet.formats import IdIndex, read_id, stated
from deeplake_mmdet.formats.coco_values import is_number, read_box, read_flag, read_size, shown

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "0.0", " 7"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)


@given(anything)
def test_whatever_json_holds_is_read_or_refused(value):
    for read in (read_flag, read_box, shown):
        read(value)
    read_size(value, 3), read_size(value, value)
    assert stated(value) is None or math.isfinite(stated(value))
    name = read_id(value)
    if name is not None:
        assert name == value
        assert IdIndex([name]).find(name) == (name, True)


@given(st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_text_states_the_number_it_was_written_from(number):
    assert stated(str(number)) == number == stated(number)
    assert IdIndex([read_id(number)]).find(str(number)) == (number, False)


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_sizes_that_are_equal_are_the_same(width, height):
    assert read_size(width, height) == read_size(float(width), height) == ((width, height), None)
    assert read_size(str(width), f"{height}.0")[0] == (width, height)


@pytest.mark.parametrize(
    "size",
    [
        (0, 0),
        ("0", 0.0),
        (None, 5),
        (5, None),
        (-5, 5),
        (5.5, 5),
        (True, 5),
        ("", 5),
        ([5], 5),
        (0, 5),
        (2**31, 5),
    ],
)
def test_sizes_that_cannot_be_are_unknown_and_told(size):
    found, why = read_size(*size)
    assert found is None
    assert "unknown" in why


def test_sizes_that_are_missing_are_unknown():
    assert read_size(None, None) == read_size(float("nan"), None) == (None, None)


@pytest.mark.parametrize(
    ("value", "flag", "told"),
    [
        (None, 0, False), (0, 0, False), (0.0, 0, False), (False, 0, False), (1, 1, False), (True, 1, False),
        (1.0, 1, False), ("0", 0, True), ("1", 1, True), ("false", 0, True), ("True", 1, True), ("", 0, True),
        (2, 1, True), (-1, 1, True), (float("nan"), 0, True),
    ],
)  # fmt: skip
def test_flags(value, flag, told):
    found = read_flag(value)
    assert (found[0], found[1] is not None) == (flag, told)


@pytest.mark.parametrize("value", ["yes", "maybe", [], [1], {}])
def test_flags_that_say_nothing(value):
    assert read_flag(value) is None


@given(st.lists(st.floats(0.1, 1e6), min_size=4, max_size=4))
def test_boxes_as_text_are_the_boxes(box):
    assert read_box(box) == (box, None)
    assert read_box([str(number) for number in box])[0] == read_box(str(box))[0] == box
    assert all(map(is_number, box))
