import json

import numpy as np
import pytest

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake import Source, open_view

POLYGONS = [[1.5, 2, 3, 4, 5, 6.1], [7, 8, 9, 10, 11, 12]]
RLE = {"size": [24, 32], "counts": "abc"}


@pytest.fixture
def view_of(make_lake):
    def make(*texts, boxes=2):
        count = len(texts)
        lake = make_lake(
            schema={"segmentations": "text"},
            boxes=[np.ones((boxes, 4))] * count,
            labels=[np.zeros(boxes, np.uint32)] * count,
            segmentations=list(texts),
        )
        return open_view(Source(lake.url))

    return make


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
