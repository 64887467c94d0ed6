"""Rows whose annotations cannot be read are found by number, whatever the columns hold."""

import json

import numpy as np
import pytest
from deeplake import types

from deeplake_mmdet.lake import Source, open_leniently, open_view
from deeplake_mmdet.lake.table.faults import BOXES, COUNTS, LABELS, SIZES, UNKNOWN

BOX = np.array([[1.0, 2, 3, 4], [2, 3, 4, 5]])
kept = []


def rows_of(lake):
    return {reason: np.flatnonzero(rows).tolist() for reason, rows in lake.faults.rows.items()}


@pytest.fixture
def opened(make_lake):
    def make(**columns):
        options = {name: columns.pop(name) for name in ("schema", "classes", "tensors") if name in columns}
        tensors = options.pop("tensors", None)
        lake = make_lake(**options, **columns)
        kept.append(lake)
        return lake, open_leniently(Source(lake.url), tensors=tensors)

    return make


def test_a_sound_lake_is_opened_as_ever(opened, rows):
    lake, found = opened(**rows(5))
    assert rows_of(found) == {}
    assert found.problem is None
    assert found.view is open_view(Source(lake.url), allow_bad_images=True)


def test_labels_of_text(make_lake):
    cells = [["a", "b"], ["a", "z"], ["b", "a", "a"], [0, 1], ["b", "b"], "{", ["a", 1], None, []]
    texts = [json.dumps(cell) if isinstance(cell, list) else cell or "" for cell in cells]
    counts = [2, 2, 2, 2, 2, 1, 2, 2, 0]
    lake = make_lake(
        boxes=[np.ones((count, 4)) for count in counts],
        names=texts,
        schema={"labels": None, "names": types.Text()},
        classes=(),
    )
    kept.append(lake)
    lake.dataset["names"].metadata["class_names"] = ["a", "b"]
    lake.dataset.commit("names")
    found = open_leniently(Source(lake.url), tensors={"gt_labels": "names"})
    assert rows_of(found) == {UNKNOWN: [1, 5], COUNTS: [2], LABELS: [3, 6, 7]}
    assert found.faults.unknown == {"z": 1, "{": 1}
    assert found.view.table.labels.tolist() == [0, 1, 1, 1]
    assert found.view.table.offsets.tolist() == [0, 2, 2, 2, 2, 4, 4, 4, 4, 4]


def test_category_ids(opened, make_lake):
    lake = make_lake(boxes=[BOX] * 3, labels=[np.array(x, np.uint32) for x in ([7, 3], [3, 4], [7, 7])])
    lake.dataset["labels"].metadata["format"] = "category-ids"
    lake.dataset["labels"].metadata["category_ids"] = [3, 7]
    lake.dataset.commit("ids")
    found = open_leniently(Source(lake.url))
    assert rows_of(found) == {UNKNOWN: [1]}
    assert found.faults.unknown == {"4": 1}
    assert found.view.table.labels.tolist() == [1, 0, 1, 1]
    assert found.view.table.offsets.tolist() == [0, 2, 2, 4]


def test_labels_of_fractions(opened):
    labels = [np.array(x) for x in ([0.0, 1], [0.5, 1], [np.nan, 0], [1, 1])]
    _, found = opened(
        boxes=[BOX] * 4,
        labels=labels,
        schema={"labels": types.Array("float64", 1)},
        tensors={"gt_labels": "labels"},
    )
    assert rows_of(found) == {LABELS: [1, 2]}


def test_boxes_of_another_shape_and_of_no_numbers(opened):
    cells = [BOX, np.ones((2, 5)), np.full((2, 4), np.inf), BOX, np.ones(3)]
    lake, found = opened(
        boxes=[BOX] * 5,
        labels=[np.zeros(2, np.uint32)] * 5,
        corners=cells,
        schema={"corners": types.Array("float64")},
        tensors={"gt_bboxes": "corners"},
    )
    assert found.problem is not None  # they do not say their format
    found = open_leniently(Source(lake.url), tensors={"gt_bboxes": "corners"}, box_format="ltrb")
    assert rows_of(found) == {BOXES: [1, 2, 4]}


def test_several_faults_of_one_row_are_all_told(opened):
    boxes = [BOX, np.full((1, 4), np.nan), BOX]
    labels = [np.array(x, np.uint32) for x in ([0, 1], [9], [1])]
    _, found = opened(boxes=boxes, labels=labels)
    assert rows_of(found) == {BOXES: [1], UNKNOWN: [1], COUNTS: [2]}


def test_sizes_that_are_none(opened):
    sizes = {"w": [32, 0, 32, -1], "h": [24, 24, 2**20, 24]}
    kinds = {name: types.Int32() for name in sizes}
    tensors = {"width": "w", "height": "h"}
    _, found = opened(
        boxes=[BOX] * 4, labels=[np.zeros(2, np.uint32)] * 4, **sizes, schema=kinds, tensors=tensors
    )
    assert rows_of(found) == {SIZES: [1, 3]}
    assert found.view.table.heights.tolist() == [24, 0, 2**20, 0]
