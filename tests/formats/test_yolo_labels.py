"""Lines of YOLO label files: what is taken, and what is refused by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplake_mmdet.formats.class_map import LEFT_OUT
from deeplake_mmdet.formats.yolo_labels import has_polygons, read_labels

LABELS = {0: 0, 1: 1, 2: LEFT_OUT}
SOUND = "0 0.5 0.5 0.2 0.4"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.2", "neither 5 numbers"),
        ("0 0.5 0.5 0.2 0.4 0.9", "neither 5 numbers"),  # with a confidence, as predictions are saved
        ("0 0.1 0.1 0.9 0.1 0.5 0.9 0.8", "neither 5 numbers"),
        ("0", "neither 5 numbers"),
        ("0,0.5,0.5,0.2,0.4", "no number"),
        ("cat 0.5 0.5 0.2 0.4", "no number"),
        ("0 0_5 0.5 0.2 0.4", "no number"),
        ("0 nan 0.5 0.2 0.4", "not finite"),
        ("0 0.5 0.5 inf 0.4", "not finite"),
        ("nan 0.5 0.5 0.2 0.4", "not finite"),
        ("0.5 0.5 0.5 0.2 0.4", "no whole number"),
        ("-1 0.5 0.5 0.2 0.4", "no name"),
        ("3 0.5 0.5 0.2 0.4", "no name"),
        ("1e300 0.5 0.5 0.2 0.4", "no name"),
        ("2 0.5 0.5 0.2 0.4", "not in the class list"),
        ("0 0.5 0.5 0 0.4", "no area"),
        ("0 0.5 0.5 0.2 -0.4", "no area"),
        ("0 0.1 0.5 0.5 0.5 0.9 0.5", "no area"),
        ("0 320 240 64 96", "from 0 to 1"),
        ("0 1.02 0.5 0.2 0.4", "from 0 to 1"),
        ("0 -0.02 0.5 0.2 0.4", "from 0 to 1"),
        ("0 0.1 0.1 0.9 0.1 0.5 1.5", "from 0 to 1"),
        (SOUND, "repeated"),
        ("0.0  0.50 0.5 0.2\t0.4", "repeated"),
    ],
)
def test_a_wrong_line_is_refused_alone(line, reason):
    found = read_labels(f"{SOUND}\n\n{line}\n1 0.5 0.5 1 1\n", LABELS)
    assert found.labels.tolist() == [0, 1]
    assert found.boxes.tolist() == [[0.5, 0.5, 0.2, 0.4], [0.5, 0.5, 1, 1]]
    [(told, detail)] = found.refused
    assert reason in told
    assert detail.startswith("line 3: ")


def test_each_line_is_a_box_or_a_polygon_by_itself():
    found = read_labels("1.0 0.1 0.2 0.5 0.2 0.5 0.8\n0 .5 .5 .2 .4\r\n", LABELS)
    assert found.polygons == [[0.1, 0.2, 0.5, 0.2, 0.5, 0.8], None]
    np.testing.assert_allclose(found.boxes[0], [0.3, 0.5, 0.4, 0.6])
    assert not found.refused
    assert has_polygons("0 .5 .5 .2 .4\n1 0.1 0.2 0.5 0.2 0.5 0.8")
    assert not has_polygons("0 .5 .5 .2 .4")


def test_edges_may_be_crossed_by_a_hundredth_as_in_ultralytics():
    found = read_labels("0 1.005 -0.005 0.2 1.01\n", LABELS)
    assert found.boxes.tolist() == [[1.005, -0.005, 0.2, 1.01]]


def test_keypoints_are_counted_and_boxes_kept():
    pose = "0 0.5 0.5 0.2 0.4 0.4 0.4 2 9 9 0"
    found = read_labels(f"{pose}\n{SOUND} 0.4\n{SOUND}", LABELS, keypoints=6)
    assert found.boxes.tolist() == [[0.5, 0.5, 0.2, 0.4]] * 2
    assert found.polygons == [None, None]
    assert found.keypoints == 1
    assert [reason for reason, _ in found.refused] == [
        "line has neither 5 numbers (a box) nor 11 (a box and its keypoints)"
    ]
    assert not has_polygons(pose, keypoints=6)


NUMBER = st.floats(0, 1, allow_subnormal=False)
SIZE = st.floats(1e-6, 1)


@given(st.lists(st.tuples(st.integers(0, 1), NUMBER, NUMBER, SIZE, SIZE), unique=True))
def test_what_is_written_is_read(objects):
    text = "\n".join(" ".join(map(repr, values)) for values in objects)
    found = read_labels(text, LABELS)
    assert found.labels.tolist() == [values[0] for values in objects]
    assert found.boxes.tolist() == [list(values[1:]) for values in objects]
    assert not found.refused


@given(st.text(alphabet=" 0123456789.-+e_naif,\n\t\u0660", max_size=60))
def test_any_text_is_taken_or_refused_line_by_line(text):
    found = read_labels(text, LABELS)
    lines = sum(bool(line.strip()) for line in text.splitlines())
    assert len(found.labels) + len(found.refused) == lines
    assert np.isfinite(found.boxes).all()
