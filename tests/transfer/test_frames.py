"""Which frame an image's boxes belong to, for every relation of sizes, orientations and boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.transfer.frames import EXIF_MODES, UNDECIDED, choose_frame

STORED, TURNED = (96, 64), (64, 96)
BOTH, ONLY_STORED, ONLY_TURNED, NEITHER = (
    np.array([box], float) for box in ((5, 5, 30, 30), (70, 5, 90, 30), (5, 70, 30, 90), (70, 5, 90, 90))
)
NONE = np.zeros((0, 4))


def words(frame):
    return " ".join(reason for reason, _ in frame.changes)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize(
    ("stated", "boxes", "turned", "said"),
    [
        (TURNED, BOTH, True, ""),
        (TURNED, NONE, True, ""),
        (TURNED, ONLY_STORED, True, ""),
        (STORED, ONLY_STORED, False, "fit the stored pixels only"),
        (STORED, ONLY_TURNED, True, "fit the turned image only"),
        (STORED, BOTH, True, UNDECIDED),
        (STORED, NONE, True, UNDECIDED),
        (STORED, NEITHER, True, UNDECIDED),
        (None, ONLY_STORED, False, "fit the stored pixels only"),
        (None, ONLY_TURNED, True, "fit the turned image only"),
        (None, BOTH, True, UNDECIDED),
        ((64, 97), ONLY_TURNED, True, "size corrected"),
        ((65, 95), BOTH, True, "size corrected"),
        ((97, 64), ONLY_STORED, False, "size corrected"),
        ((97, 64), ONLY_TURNED, True, "size corrected"),
    ],
)
def test_orientations_that_exchange_the_sides(orientation, stated, boxes, turned, said):
    frame = choose_frame(STORED, orientation, stated, boxes)
    assert (frame.turned, frame.size) == (turned, TURNED if turned else STORED)
    assert said in words(frame) if said else not frame.changes


@pytest.mark.parametrize("orientation", [2, 3, 4])
@pytest.mark.parametrize("stated", [STORED, None])
@pytest.mark.parametrize("boxes", [BOTH, NEITHER, NONE])
def test_orientations_that_keep_the_size_are_applied_and_told(orientation, stated, boxes):
    frame = choose_frame(STORED, orientation, stated, boxes)
    assert (frame.turned, frame.size, words(frame)) == (True, STORED, UNDECIDED)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_square_images_are_turned_and_told(orientation):
    frame = choose_frame((64, 64), orientation, (64, 64), BOTH)
    assert (frame.turned, words(frame)) == (True, UNDECIDED)


@pytest.mark.parametrize(
    ("stated", "boxes", "kept"),
    [
        ((97, 64), BOTH, True),
        ((95, 63), np.array([[0, 0, 96, 64]], float), True),
        ((97, 64), np.array([[0, 0, 97, 64]], float), False),
        ((97, 64), np.array([[-1, -1, 96, 64]], float), True),  # VOC's, from which 1 was subtracted
        (TURNED, BOTH, True),
        (TURNED, NONE, True),
        (TURNED, ONLY_TURNED, False),
        ((98, 64), BOTH, False),
        ((48, 32), BOTH, False),
        ((63, 96), BOTH, False),
    ],
)
def test_wrong_sizes_without_exif(stated, boxes, kept):
    if kept:
        frame = choose_frame(STORED, 1, stated, boxes)
        assert (frame.turned, frame.size) == (False, STORED)
        assert "size corrected" in words(frame)
        assert f"{stated[0]} x {stated[1]} stated, 96 x 64 stored" in frame.changes[0][1]
    else:
        with pytest.raises(ImageError) as caught:
            choose_frame(STORED, 1, stated, boxes)
        assert caught.value.what == "size differs from the annotation"
        assert caught.value.where == f"{stated[0]} x {stated[1]} stated, 96 x 64 stored"


def test_a_refusal_mentions_exif_only_if_there_is_an_orientation():
    with pytest.raises(ImageError, match="EXIF") as caught:
        choose_frame(STORED, 6, (10, 10), BOTH)
    assert caught.value.where == "10 x 10 stated, 96 x 64 stored, 64 x 96 turned, EXIF orientation 6"


sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))


@st.composite
def cases(draw):
    stored = draw(sizes)
    shift = draw(st.tuples(st.integers(-2, 2), st.integers(-2, 2)))
    base = draw(st.sampled_from([stored, stored[::-1], draw(sizes)]))
    stated = draw(st.none() | st.just(tuple(max(1, a + b) for a, b in zip(base, shift, strict=True))))
    corners = draw(st.lists(st.tuples(*[st.integers(0, 60)] * 4), max_size=3))
    boxes = np.array([(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners], float)
    return stored, draw(st.integers(1, 8)), stated, boxes.reshape(-1, 4)


@pytest.mark.parametrize("stated", [STORED, None])
def test_run_lengths_know_their_image(stated):
    for sizes, turned in (([STORED], False), ([TURNED], True), ([STORED, TURNED], True), ([(9, 9)], True)):
        frame = choose_frame(STORED, 6, stated, BOTH, mask_sizes=sizes)
        assert (frame.turned, words(frame) == UNDECIDED) == (turned, sizes not in ([STORED], [TURNED]))
    assert choose_frame(STORED, 6, TURNED, BOTH, mask_sizes=[STORED]).turned


@given(cases(), st.sampled_from(EXIF_MODES))
def test_every_case_is_decided_by_the_same_rules(case, mode):
    stored, orientation, stated, boxes = case
    turned = stored[::-1] if orientation >= 5 else stored
    near = stated is not None and any(
        stated == size[::-1] or np.abs(np.subtract(stated, size)).max() <= 1 for size in (stored, turned)
    )
    try:
        frame = choose_frame(stored, orientation, stated, boxes, mode)
    except ImageError as error:
        refusal = error.what
    else:
        refusal = None
    if refusal is not None:
        assert stated not in (None, stored, turned)
        assert ("EXIF" in refusal) == (orientation != 1)
        return
    assert frame.size == (turned if frame.turned else stored)
    if orientation == 1 or mode == "stored":
        assert not frame.turned
    elif mode == "turn" or turned == stored:
        assert frame.turned
    if stated is not None and stated != frame.size:
        assert near
        assert frame.changes
    if frame.turned and mode == "auto" and not frame.changes:
        assert stated == turned != stored  # whatever is less certain is told
    if orientation > 1 and not frame.turned and mode == "auto":
        assert (boxes[:, 2:] <= np.add(stored, 1)).all()
        assert not (boxes[:, 2:] <= np.add(turned, 1)).all()


@given(cases())
def test_no_exif_never_depends_on_the_mode(case):
    stored, _, stated, boxes = case
    results = []
    for mode in EXIF_MODES:
        try:
            results.append(choose_frame(stored, 1, stated, boxes, mode))
        except ImageError as error:
            results.append(error.where)
    assert results[0] == results[1] == results[2]
