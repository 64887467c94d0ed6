"""Rows that are checked many at a time, each as if it were alone."""

import numpy as np
import pytest

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.writing.rows import ImageRecord, RowBlock

COLUMNS = ("areas", "iscrowds", "annotation_ids", "image_id")


def record(number, n=2, **changes):
    values = {
        "image": b"\xff\xd8\xff" + bytes(20),
        "width": 32,
        "height": 24,
        "file_name": f"{number}.jpg",
        "boxes": np.arange(4.0 * n).reshape(n, 4) + number,
        "labels": np.full(n, number % 3),
        "areas": np.full(n, number / 3),
        "iscrowds": np.zeros(n, np.uint8),
        "annotation_ids": np.arange(n) + 10 * number,
        "image_id": number,
    }
    return ImageRecord(**(values | changes))


def block(records):
    made = RowBlock("jpeg", 3, COLUMNS, first=100)
    for one in records:
        made.add(one)
    return made


def test_columns_are_those_of_the_records_alone():
    records = [record(number, number % 4) for number in range(30)]
    together = block(records).columns()
    for number, one in enumerate(records):
        for name, values in block([one]).columns().items():
            np.testing.assert_array_equal(together[name][number], values[0])
            assert getattr(together[name][number], "dtype", None) == getattr(values[0], "dtype", None)


def test_numbers_of_several_types_stay_exact():
    great = 2**63 - 1
    records = [
        record(0, annotation_ids=np.array([great, -great])),
        record(1, annotation_ids=np.array([3, 4], np.uint8)),
        record(2, 0, annotation_ids=np.zeros(0)),  # no numbers, so that floats do no harm
        record(3, annotation_ids=np.array([2**53 + 1, 5], np.uint64), labels=np.array([0, 1], np.uint64)),
        record(4, labels=[2, 0], areas=[1, 2], iscrowds=[True, False]),
    ]
    columns = block(records).columns()
    assert [column.tolist() for column in columns["annotation_ids"]] == [
        [great, -great], [3, 4], [], [2**53 + 1, 5], [40, 41],
    ]  # fmt: skip
    assert {column.dtype.name for column in columns["annotation_ids"]} == {"int64"}
    assert columns["labels"][4].tolist() == [2, 0]
    assert columns["iscrowds"][4].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": np.array([0, 3])}, "Labels must be whole numbers from 0 to 2"),
        ({"labels": np.array([0.0, 1.0])}, "Labels"),
        ({"boxes": np.full((2, 4), np.inf)}, "finite"),
        ({"iscrowds": np.array([0.5, 1])}, "'iscrowds' holds values other than 0 and 1"),
        ({"iscrowds": np.array([256, 0])}, "other than 0 and 1"),
        ({"annotation_ids": np.array([0.5, 1])}, "64-bit integers"),
        ({"areas": None}, "'areas' has no value"),
        ({"image_id": 2**63}, "does not fit 64 bits"),
        ({"image": b"\x89PNG\r\n\x1a\n"}, "not an image of type jpeg"),
    ],
)
@pytest.mark.parametrize("place", [0, 7, 19])
def test_the_one_that_is_wrong_is_named(changes, said, place):
    records = [record(number) for number in range(20)]
    records[place] = record(place, **changes)
    with pytest.raises(AnnotationError, match=said) as caught:
        block(records).columns()
    assert caught.value.where == f"image '{place}.jpg'"


def test_a_record_without_a_name_is_told_by_its_row():
    with pytest.raises(AnnotationError, match="no file name") as caught:
        block([record(0), record(1, file_name="")]).columns()
    assert caught.value.where == "row 101"
