"""Boxes that declare no format: asked for in 3.x's interface, taken as the old integration did in 2.x's."""

import numpy as np
import pytest

from deeplake_mmdet.errors import BoxFormatError
from deeplake_mmdet.lake import Source, open_view

PIXELS = [
    np.array([[4.0, 6.0, 20.0, 10.0], [1.0, 0.0, 8.0, 9.0]]),
    np.zeros((0, 4)),
    np.array([[2.0, 3, 5, 5]]),
]
FRACTIONS = [np.array([[0.5, 0.5, 0.25, 0.5]]), np.zeros((0, 4)), np.array([[0.25, 0.25, 0.5, 0.25]])]


@pytest.fixture
def lake(make_lake):
    def make(boxes, kind=None):
        from deeplake import types

        labels = [np.zeros(len(row), np.uint32) for row in boxes]
        kind = types.BoundingBox("float64") if kind is None else kind
        return make_lake(schema={"boxes": kind}, boxes=boxes, labels=labels).url

    return make


def view_of(url, box_format="legacy", **options):
    return open_view(Source(url), box_format=box_format, **options)


def test_pixels_are_left_top_width_height(lake):
    view = view_of(lake(PIXELS))
    assert str(view.table.box_format) == "ltwh_pixel"
    assert [view.table.xywh(row).tolist() for row in range(3)] == [boxes.tolist() for boxes in PIXELS]
    assert "'boxes'" in view.notes["gt_bboxes"]
    assert "box_format" in view.notes["gt_bboxes"]


def test_numbers_of_a_mean_below_one_are_fractions_around_the_centre(lake):
    view = view_of(lake(FRACTIONS))  # images are 32 pixels wide and 24 high
    assert str(view.table.box_format) == "ccwh_fractional"
    assert view.table.xyxy(0).tolist() == [[12.0, 6.0, 20.0, 18.0]]
    assert "ccwh_fractional" in view.notes["gt_bboxes"]


def test_plain_arrays_too(lake):
    from deeplake import types

    url = lake(PIXELS, types.Array("float64", 2))
    view = view_of(url, tensors={"gt_bboxes": "boxes"})
    assert view.table.xywh(0).tolist() == PIXELS[0].tolist()


def test_what_the_lake_declares_counts(lake):
    from deeplake import types

    view = view_of(lake(PIXELS, types.BoundingBox("float64", "ltrb", "pixel")))
    assert str(view.table.box_format) == "ltrb_pixel"
    assert "gt_bboxes" not in view.notes
    small = view_of(lake(FRACTIONS, types.BoundingBox("float64", "ltwh", "fractional")))
    assert str(small.table.box_format) == "ltwh_fractional"


def test_a_lake_without_boxes_is_no_reason_to_warn(lake):
    view = view_of(lake([np.zeros((0, 4))] * 3))
    assert "gt_bboxes" not in view.notes


def test_the_interface_of_3x_asks(lake):
    with pytest.raises(BoxFormatError, match="does not say how its boxes are stored"):
        view_of(lake(PIXELS), None)
