"""Labels of every kind a lake can hold."""

import numpy as np
import pytest

from deeplake_mmdet.errors import AnnotationError, ColumnError
from deeplake_mmdet.lake import Source, open_view


def boxes(*counts):
    return [np.arange(4.0 * count).reshape(count, 4) + 1 for count in counts]


def text_lake(make_lake, names, counts, kind="text"):
    return make_lake(schema={"labels": None, "names": kind}, classes=(), boxes=boxes(*counts), names=names)


def opened(lake, **options):
    return open_view(Source(lake.url), tensors={"gt_labels": "names"}, **options)


def test_texts_are_class_names_in_sorted_order(make_lake):
    lake = text_lake(make_lake, ["dog", "cat", "dog"], (1, 1, 1))
    view = opened(lake)
    assert view.lake_classes == view.classes == ("cat", "dog")
    assert view.table.labels.tolist() == [1, 0, 1]
    assert view.table.labels.dtype == np.int32


def test_recorded_class_names_decide_the_order_of_texts(make_lake):
    lake = text_lake(make_lake, ["dog", "cat"], (1, 1))
    lake.dataset["names"].metadata["class_names"] = ["dog", "bird", "cat"]
    lake.dataset.commit()
    view = opened(lake)
    assert view.classes == ("dog", "bird", "cat")
    assert view.table.labels.tolist() == [0, 2]


def test_classes_select_among_texts(make_lake):
    view = opened(text_lake(make_lake, ["dog", "cat", "emu"], (1, 1, 1)), classes=("emu", "cat"))
    assert view.lake_classes == ("cat", "dog", "emu")
    assert view.labels.tolist() == [-1, 1, 0]


def test_sequences_of_texts_are_refused_as_reading_them_crashes(make_lake):
    from deeplake import types

    lake = text_lake(make_lake, [["b", "a"], ["a"]], (2, 1), types.Sequence(types.Text()))
    with pytest.raises(ColumnError, match=r"sequences of text.*cannot serve as 'gt_labels'"):
        opened(lake)


def test_a_text_that_is_no_class_name_is_refused(make_lake):
    lake = text_lake(make_lake, ["dog", "cow"], (1, 1))
    lake.dataset["names"].metadata["class_names"] = ["dog", "cat"]
    lake.dataset.commit()
    with pytest.raises(AnnotationError, match=r"'cow' is none of the 2 class names.*row 1.*dog, cat"):
        opened(lake)


def test_an_empty_text_is_refused(make_lake):
    with pytest.raises(AnnotationError, match=r"label is empty.*'names', row 1"):
        opened(text_lake(make_lake, ["dog", ""], (1, 1)))


def test_one_text_for_several_boxes_is_refused(make_lake):
    with pytest.raises(AnnotationError, match="Row 1 has 2 boxes but 1 values in 'names'"):
        opened(text_lake(make_lake, ["dog", "dog"], (1, 2)))


def test_one_label_for_several_boxes_is_refused(make_lake):
    from deeplake import types

    lake = make_lake(schema={"labels": types.ClassLabel("uint32")}, boxes=boxes(1, 2), labels=[1, 0])
    with pytest.raises(AnnotationError, match="Row 1 has 2 boxes but 1 values in 'labels'"):
        open_view(Source(lake.url))


def test_sequences_of_labels_may_be_empty(make_lake):
    from deeplake import types

    kind = types.Sequence(types.ClassLabel("uint32"))
    lake = make_lake(schema={"labels": kind}, boxes=boxes(2, 0, 1), labels=[[1, 0], [], [1]])
    assert open_view(Source(lake.url)).table.labels.tolist() == [1, 0, 1]


def with_ids(make_lake, labels, **metadata):
    counts = [len(row) for row in labels]
    lake = make_lake(boxes=boxes(*counts), labels=[np.array(row, np.uint32) for row in labels])
    for key, value in metadata.items():
        lake.dataset["labels"].metadata[key] = value
    lake.dataset.commit()
    return lake


def test_category_ids_are_kept_beside_the_labels(make_lake):
    view = open_view(Source(with_ids(make_lake, [[1, 0]], category_ids=[18, 90]).url))
    assert view.category_ids == (18, 90)
    assert view.table.labels.tolist() == [1, 0]
    assert open_view(Source(with_ids(make_lake, [[1, 0]]).url)).category_ids is None


def test_labels_that_are_category_ids_become_indices_if_the_column_says_so(make_lake):
    told = {"category_ids": [18, 90], "format": "category-ids"}
    view = open_view(Source(with_ids(make_lake, [[90, 18], [90]], **told).url))
    assert view.table.labels.tolist() == [1, 0, 1]
    with pytest.raises(AnnotationError, match=r"Label 19 is none of the 2 category ids.*row 1.*18, 90"):
        open_view(Source(with_ids(make_lake, [[90], [19]], **told).url))
    with pytest.raises(AnnotationError, match="3 distinct ids are recorded for 2 class names"):
        open_view(Source(with_ids(make_lake, [[90]], **{**told, "category_ids": [1, 2, 3]}).url))
