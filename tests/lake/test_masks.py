import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.lake.images.segmentation import run_lengths, segmentation_fault

POLYGONS = [[1.5, 2, 3, 4, 5, 6.1], [7, 8, 9, 10, 11, 12]]
RLE = {
    "size": [24, 32],
    "counts": coco_mask.encode(np.eye(24, 32, dtype=np.uint8, order="F"))["counts"].decode(),
}
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@pytest.fixture(scope="module")
def view_with(make_lake):
    """A view of a lake with a mask column of some type; all rows have the same number of boxes."""

    def make(kind, cells, boxes=2, **options):
        count = len(cells)
        lake = make_lake(
            schema={"segmentations": kind},
            boxes=[np.ones((boxes, 4))] * count,
            labels=[np.zeros(boxes, np.uint32)] * count,
            segmentations=list(cells),
            **options,
        )
        kept.append(lake)  # a lake in memory goes with its handle
        return open_view(Source(lake.url), tensors={"gt_masks": "segmentations"})

    kept = []
    return make


@pytest.fixture
def view_of(view_with):
    return lambda *texts, boxes=2: view_with("text", texts, boxes)


def test_polygons_and_run_lengths_come_back_exactly(view_of):
    rows = [[POLYGONS, RLE], [None, POLYGONS]]
    view = view_of(*map(json.dumps, rows))
    assert [view.segmentations(row) for row in range(2)] == rows


@pytest.mark.parametrize("text", ["[]", ""])
def test_a_row_without_boxes_has_no_masks(view_of, text):
    assert view_of(text, boxes=0).segmentations(0) == []


@pytest.mark.parametrize("text", ["no json", '{"a": 1}', "[null]", "[null, null, null]", "", "3"])
def test_a_cell_that_does_not_fit_its_boxes_is_named(view_of, text):
    view = view_of("[null, null]", text)
    with pytest.raises(AnnotationError, match="column 'segmentations', row 1"):
        view.segmentations(1)


UNSOUND = {
    "flat": [1, 2, 3, 4, 5, 6],
    "pairs": [[1, 2], [3, 4], [5, 6]],
    "nested": [[[1, 2], [3, 4], [5, 6]]],
    "points": [[{"x": 1, "y": 2}] * 3],
    "many points": [[[1, 2]] * 6],
    "text": "[[1, 2, 3, 4, 5, 6]]",
    "number": 7,
    "list of run lengths": [RLE],
    "texts": [["1", "2", "3", "4", "5", "6"]],
    "list of texts": ["123456"],
    "null among numbers": [[1, 2, 3, None, 5, 6]],
    "true among numbers": [[1, 2, 3, True, 5, 6]],
    "not a number": [[1, 2, 3, float("nan"), 5, 6]],
    "endless": [[1, 2, 3, float("inf"), 5, 6]],
    "far": [[1, 2, 3, 1e300, 5, 6]],
    "beyond floats": [[1, 2, 3, 10**400, 5, 6]],
    "long": [[0, 0, 9e5, 9e5] * 4],
    "far in a second polygon": [POLYGONS[0], [1, 2, 3, 1e12, 5, 6]],
    "far and short": [[1e300, 2]],
    "no size": {"counts": [768]},
    "no counts": {"size": [24, 32]},
    "size is a number": {"size": 768, "counts": [768]},
    "too few": {"size": [24, 32], "counts": [700]},
    "too many": {"size": [24, 32], "counts": [700, 69]},
    "negative": {"size": [24, 32], "counts": [800, -32]},
    "fractions": {"size": [24, 32], "counts": [700.5, 67.5]},
    "texts as counts": {"size": [24, 32], "counts": ["768"]},
    "beyond integers": {"size": [24, 32], "counts": [10**30]},
    "no text of COCO's": {"size": [24, 32], "counts": "abc"},
    "another alphabet": {"size": [24, 32], "counts": "åß∂"},
    "cut off": {"size": [24, 32], "counts": RLE["counts"][:-1]},
    "one more": {"size": [24, 32], "counts": RLE["counts"] + "1"},
    "empty": {"size": [24, 32], "counts": ""},
    "endless digits": {"size": [24, 32], "counts": "o" * 400 + "0"},
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_mask_that_would_crash_or_mislead_is_named(view_of, name):
    view = view_of(json.dumps([RLE, POLYGONS]), json.dumps([POLYGONS, UNSOUND[name]]))
    assert view.segmentations(0)
    with pytest.raises(AnnotationError, match=r"mask of object 1 cannot be used.*'segmentations', row 1"):
        view.segmentations(1)


def test_a_cell_nested_beyond_reason_is_named(view_of):
    view = view_of("[" * 100_000 + "]" * 100_000)
    with pytest.raises(AnnotationError, match="row 0"):
        view.segmentations(0)


@settings(max_examples=300, **QUIET)
@given(data=st.data())
def test_run_lengths_are_those_of_pycocotools(data):
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    pixels = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1), fill=st.integers(0, 1)))
    counts = coco_mask.encode(np.asfortranarray(pixels))["counts"]
    lengths = run_lengths(counts)
    flags = np.arange(len(lengths)) % 2
    assert (np.repeat(flags, lengths).reshape(shape, order="F") == pixels).all()
    mask = {"size": list(shape), "counts": counts.decode()}
    assert segmentation_fault(mask, shape) is None
    assert segmentation_fault({**mask, "counts": lengths.tolist()}, shape) is None


@settings(max_examples=300, **QUIET)
@given(text=st.text(st.characters(min_codepoint=48, max_codepoint=112), max_size=6), side=st.integers(1, 4))
def test_a_text_that_passes_fills_its_image(text, side):
    mask = {"size": [side, side], "counts": text}
    if segmentation_fault(mask, (side, side)) is None:
        decoded = coco_mask.decode(mask)
        flags = np.arange(len(run_lengths(text))) % 2
        assert (decoded.flatten(order="F") == np.repeat(flags, run_lengths(text))).all()


def test_run_lengths_of_another_size_are_named(view_of):
    view = view_of(json.dumps([None, {"size": [32, 24], "counts": [768]}]))
    with pytest.raises(AnnotationError, match=r"\(32, 24\), its image \(24, 32\).*row 0"):
        view.segmentations(0)


@settings(max_examples=25, **QUIET)
@given(data=st.data())
def test_pixels_come_back_as_run_lengths(view_with, data):
    from deeplake import types

    count = data.draw(st.integers(0, 3))
    cells = [data.draw(arrays(bool, (24, 32, count))) for _ in range(2)]
    compression = data.draw(st.sampled_from(["lz4", None]))
    view = view_with(types.BinaryMask(sample_compression=compression), cells, count)
    for row, cell in enumerate(cells):
        found = view.segmentations(row)
        assert all(isinstance(mask["counts"], str) and mask["size"] == [24, 32] for mask in found)
        decoded = [coco_mask.decode(mask) for mask in found]
        assert len(decoded) == count
        assert all((mask == cell[:, :, index]).all() for index, mask in enumerate(decoded))


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ((24, 32, 1), r"2 boxes.*\(24, 32, 1\)"),
        ((24, 32, 3), r"2 boxes.*\(24, 32, 3\)"),
        ((24, 32, 0), r"2 boxes.*\(24, 32, 0\)"),
        ((32, 24, 2), r"\(32, 24\), its image \(24, 32\)"),
        ((12, 16, 2), r"\(12, 16\), its image \(24, 32\)"),
    ],
)
def test_pixels_that_do_not_fit_their_boxes_or_image_are_named(view_with, shape, what):
    from deeplake import types

    cells = [np.zeros((24, 32, 2), bool), np.zeros(shape, bool)]
    view = view_with(types.BinaryMask(sample_compression="lz4"), cells)
    assert len(view.segmentations(0)) == 2
    with pytest.raises(AnnotationError, match=rf"{what}.*column 'segmentations', row 1"):
        view.segmentations(1)


@pytest.mark.parametrize(("compression", "flat"), [("lz4", True), (None, False)])
def test_sequences_of_masks_come_back_as_run_lengths(view_with, compression, flat):
    from deeplake import types

    pixels = np.random.default_rng(0).random((2, 24, 32)) < 0.5
    kind = types.Sequence(types.BinaryMask(sample_compression=compression))
    view = view_with(kind, [list(pixels if flat else pixels[..., None])] * 2)
    for row in range(2):
        decoded = [coco_mask.decode(mask) for mask in view.segmentations(row)]
        assert (np.stack(decoded) == pixels).all()
    assert view_with(kind, [[], []], 0).segmentations(0) == []  # Deep Lake itself would wait for ever


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        ([(24, 32)], r"2 boxes.*\(24, 32, 1\)"),
        ([(24, 32)] * 3, r"2 boxes.*\(24, 32, 3\)"),
        ([(24, 32), (12, 16)], r"shapes \(12, 16\), \(24, 32\)"),
        ([(32, 24)] * 2, r"\(32, 24\), its image \(24, 32\)"),
        ([(24, 32, 2)] * 2, r"shapes \(24, 32, 2\)"),
        ([], "2 boxes"),
    ],
)
def test_sequences_of_masks_that_do_not_fit_are_named(view_with, shapes, what):
    from deeplake import types

    view = view_with(types.Sequence(types.BinaryMask()), [[np.zeros(shape, bool) for shape in shapes]])
    with pytest.raises(AnnotationError, match=rf"{what}.*column 'segmentations', row 0"):
        view.segmentations(0)


@pytest.mark.parametrize("shape", [(0, 0, 0), (24, 32, 0), (32, 24, 0)])
def test_no_pixels_for_no_boxes(view_with, shape):
    from deeplake import types

    assert view_with(types.BinaryMask(), [np.zeros(shape, bool)], 0).segmentations(0) == []


@settings(max_examples=25, **QUIET)
@given(data=st.data())
def test_polygons_of_ragged_and_equal_lengths_come_back_exactly(view_with, data):
    from deeplake import types

    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    points = st.floats(-1e4, 1e4, width=32)
    cell = [data.draw(arrays(np.float32, (length, 2), elements=points)) for length in lengths]
    found = view_with(types.Polygon(), [cell], len(cell)).segmentations(0)
    assert found == [[polygon.astype(float).reshape(-1).tolist()] for polygon in cell]


def test_rows_without_polygons_have_none(view_with, make_lake):
    from deeplake import types

    triangle = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    lake = make_lake(
        schema={"masks": types.Polygon()},
        boxes=[np.ones((1, 4)), np.zeros((0, 4))],
        labels=[np.zeros(1, np.uint32), np.zeros(0, np.uint32)],
        masks=[[triangle], []],
    )
    view = open_view(Source(lake.url))
    assert [view.segmentations(row) for row in range(2)] == [[[[1, 2, 3, 4, 5, 6]]], []]


def test_objects_of_several_polygons_come_back_in_parts(view_with):
    from deeplake import types

    parts = np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2)
    cell = [list(item) for item in parts]
    found = view_with(types.Sequence(types.Polygon()), [cell]).segmentations(0)
    assert found == [[part.reshape(-1).tolist() for part in item] for item in parts]


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ([np.ones((3, 2))], "2 boxes.*1 objects"),
        ([np.ones((3, 3))] * 2, r"shape \(k, 2\), not \(3, 3\)"),
        ([np.full((3, 2), np.nan)] * 2, "finite"),
    ],
)
def test_polygons_that_cannot_be_used_are_named(view_with, cell, what):
    from deeplake import types

    cell = [polygon.astype(np.float32) for polygon in cell]
    view = view_with(types.Polygon(), [cell])
    with pytest.raises(AnnotationError, match=rf"{what}.*column 'segmentations', row 0"):
        view.segmentations(0)
