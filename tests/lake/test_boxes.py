import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplake_mmdet.errors import BoxFormatError
from deeplake_mmdet.lake.schema.boxes import MODES, UNITS, BoxFormat, corners_of, to_xywh, to_xyxy

FORMATS = [BoxFormat(mode, unit) for mode in MODES for unit in UNITS]
SETTINGS = settings(deadline=None, max_examples=60)
every_format = pytest.mark.parametrize("box_format", FORMATS, ids=str)

boxes_in_pixels = st.integers(0, 6).flatmap(
    lambda count: arrays(np.float64, (count, 4), elements=st.floats(0, 4000, allow_subnormal=False))
)
many_boxes = st.sampled_from([0, 1, 31, 32, 33, 200]).flatmap(
    lambda count: arrays(np.float64, (count, 4), elements=st.floats(0, 4000), fill=st.floats(0, 4000))
)
sides = st.integers(1, 5000)


def stored(xywh, box_format, width, height):
    """The reference, box by box: (left, top, width, height) in pixels as the format stores it."""
    out = []
    for x, y, w, h in xywh.tolist():
        box = {
            "ltwh": (x, y, w, h),
            "ltrb": (x, y, x + w, y + h),
            "ccwh": (x + w / 2, y + h / 2, w, h),
        }[box_format.mode]
        if box_format.unit == "fractional":
            box = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        out.append(box)
    return np.array(out, np.float64).reshape(-1, 4)


@every_format
@SETTINGS
@given(xywh=boxes_in_pixels, width=sides, height=sides)
def test_boxes_of_every_format_come_back(box_format, xywh, width, height):
    boxes = stored(xywh, box_format, width, height)
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    np.testing.assert_allclose(to_xywh(boxes, box_format, width, height), xywh, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(to_xyxy(boxes, box_format, width, height), corners, rtol=1e-12, atol=1e-9)


@SETTINGS
@given(xywh=boxes_in_pixels, width=sides, height=sides)
def test_pixel_ltwh_comes_back_bit_for_bit(xywh, width, height):
    found = to_xywh(xywh, BoxFormat("ltwh", "pixel"), width, height)
    assert found.tobytes() == xywh.tobytes()
    assert found is not xywh


@every_format
@SETTINGS
@given(boxes=many_boxes, width=sides, height=sides)
def test_plain_corners_are_the_same_bit_for_bit(box_format, boxes, width, height):
    found = corners_of(boxes, box_format, width, height)
    assert found == to_xyxy(boxes, box_format, width, height).tolist()
    assert all(type(number) is float for box in found for number in box)


@SETTINGS
@given(xywh=boxes_in_pixels, width=sides, height=sides)
def test_corners_are_one_float64_addition(xywh, width, height):
    found = to_xyxy(xywh, BoxFormat("ltwh", "pixel"), width, height)
    expected = [[x, y, x + w, y + h] for x, y, w, h in xywh.tolist()]
    assert found.tolist() == expected


@SETTINGS
@given(corners=boxes_in_pixels, width=sides, height=sides)
def test_pixel_corners_come_back_bit_for_bit(corners, width, height):
    assert to_xyxy(corners, BoxFormat("ltrb", "pixel"), width, height).tobytes() == corners.tobytes()


@every_format
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "uint32"])
def test_every_element_type_becomes_float64_before_it_is_calculated_with(box_format, dtype):
    boxes = np.array([[200, 100, 250, 180], [3, 5, 2, 4]]).astype(dtype)
    before = boxes.copy()
    for convert in (to_xyxy, to_xywh):
        found = convert(boxes, box_format, 10, 20)
        assert found.dtype == np.float64
        assert found.tolist() == convert(boxes.astype(np.float64), box_format, 10, 20).tolist()
    assert (boxes == before).all()


@every_format
@pytest.mark.parametrize("empty", [np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4), np.float32)])
def test_no_boxes_give_no_boxes(box_format, empty):
    for convert in (to_xyxy, to_xywh):
        assert convert(empty, box_format, 10, 20).shape == (0, 4)
        assert convert(empty, box_format, np.zeros(0), np.zeros(0)).shape == (0, 4)


@every_format
def test_each_box_is_scaled_by_its_own_image(box_format):
    boxes = np.random.default_rng(0).random((5, 4))
    widths, heights = np.array([1, 20, 300, 7, 64], np.int32), np.array([9, 8, 700, 6, 5], np.int32)
    for convert in (to_xyxy, to_xywh):
        together = convert(boxes, box_format, widths, heights)
        alone = [convert(box, box_format, w, h)[0] for box, w, h in zip(boxes, widths, heights, strict=True)]
        assert together.tolist() == np.array(alone).tolist()


@pytest.mark.parametrize(
    ("text", "mode", "unit"),
    [
        ("ltwh", "ltwh", "pixel"),
        ("LTRB", "ltrb", "pixel"),
        ("ccwh_pixel", "ccwh", "pixel"),
        ("ltwh-fractional", "ltwh", "fractional"),
        ("CCWH_Fractional", "ccwh", "fractional"),
    ],
)
def test_format_names_are_read(text, mode, unit):
    assert BoxFormat.parse(text) == BoxFormat(mode, unit)


@every_format
def test_a_format_reads_its_own_name(box_format):
    assert BoxFormat.parse(str(box_format)) == box_format


@pytest.mark.parametrize("text", ["", "xyxy", "ltwh_percent", "ltwh_pixel_pixel", "ltwhpixel", "_pixel", 3])
def test_an_unknown_format_name_is_refused_with_the_known_ones(text):
    with pytest.raises(BoxFormatError, match=r"box_format.*'ltwh_pixel'.*'ccwh_fractional'"):
        BoxFormat.parse(text)
