"""Masks that are looked at together, against the same ones looked at one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.formats.segmentation import read_segmentation
from deeplake_mmdet.transfer.masks import settle_masks

SIZE = 24, 32
number = st.one_of(
    st.integers(-9, 40), st.floats(-9, 40), st.sampled_from([1e6, 3e5, 1e7, 2**70, 10**400, float("nan")])
)
odd = st.sampled_from([True, "5", None, [1], float("inf")])
part = st.one_of(
    st.lists(st.floats(0, 30), min_size=6, max_size=10),
    st.lists(number, max_size=9),
    st.lists(st.one_of(number, odd), min_size=6, max_size=8),
    st.sampled_from([None, "x", {}, [[1, 2], [3, 4], [5, 6]]]),
)
mask = st.one_of(
    st.none(),
    st.lists(st.lists(st.floats(0, 30), min_size=6, max_size=6), max_size=3),
    st.lists(part, max_size=4),
    st.sampled_from(["x", {}, {"size": [24, 32], "counts": [3, 9, 756]}, [1, 2, 9, 2, 9, 9]]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(mask, max_size=5))
def test_masks_are_taken_as_one_by_one(masks):
    fields, changes = settle_masks({"segmentations": masks, "file_name": "a"}, SIZE)
    readings = [read_segmentation(value, SIZE) for value in masks]
    assert repr(fields) == repr({"segmentations": [one.mask for one in readings], "file_name": "a"})
    assert [reason for _, reason, _ in changes] == [one.reason for one in readings if one.reason]
