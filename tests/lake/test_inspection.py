import numpy as np
import pytest

from deeplake_mmdet.errors import AnnotationError, BoxFormatError, CredentialError, SourceNotFoundError
from deeplake_mmdet.lake import inspect

from .helpers import unpack_v3


def cells(encode):
    labels = [np.array(found, np.uint32) for found in ([0, 0, 2], [2], [])]
    return {
        "images": [encode(40, 30), encode(10, 20), encode(30, 30)],
        "boxes": [np.ones((len(found), 4)) for found in labels],
        "labels": labels,
    }


@pytest.fixture
def lake(make_lake, encode, tmp_path):
    return make_lake(tmp_path / "lake", classes=["a", "b", "c"], **cells(encode))


def test_a_sound_lake_is_described(lake):
    found = inspect(lake.url)
    assert (found.rows, found.problem) == (3, None)
    assert set(found.columns) == {"images", "boxes", "labels"}
    assert (found.source.url, found.source.branch) == (lake.url, "main")
    assert found.class_counts() == [("a", 2, 1), ("b", 0, 0), ("c", 2, 2)]
    assert found.size_range() == ((10, 20), (40, 30), 1)


def test_versions_are_listed_newest_first(lake, encode):
    for number in range(12):
        lake.dataset.append(cells(encode))
        lake.dataset.commit(f"number {number}")
    found = inspect(lake.url)
    assert [message for _, _, message in found.versions] == [
        f"number {number}" for number in range(11, 1, -1)
    ]
    assert found.versions[0][0] == found.source.version
    assert found.version_count == len(lake.dataset.history)


def test_an_older_version_lists_what_came_before_it(lake, encode):
    first = lake.dataset.version
    lake.append(**cells(encode))
    found = inspect(lake.url, commit=first)
    assert found.rows == 3
    assert found.versions[0][0] == first


def test_a_query_has_rows_and_the_versions_of_its_lake(lake):
    found = inspect(lake.url, query="SELECT * LIMIT 2")
    assert (found.rows, found.version_count) == (2, len(lake.dataset.history))
    assert found.class_counts() == [("a", 2, 1), ("b", 0, 0), ("c", 2, 2)]


def test_what_keeps_a_lake_from_training_is_reported_beside_its_columns(make_lake, rows, tmp_path):
    from deeplake import types

    make_lake(tmp_path / "lake", schema={"boxes": types.BoundingBox("float32")}, **rows())
    found = inspect(str(tmp_path / "lake"))
    assert isinstance(found.problem, BoxFormatError)
    assert found.view is None
    assert set(found.columns) == {"images", "boxes", "labels"}
    assert (found.class_counts(), found.size_range()) == ([], ((0, 0), (0, 0), 0))
    assert inspect(str(tmp_path / "lake"), box_format="ltwh").problem is None


def test_an_empty_lake_is_described(make_lake):
    found = inspect(make_lake().url)
    assert found.rows == 0
    assert isinstance(found.problem, AnnotationError)


def test_columns_may_be_named(make_lake, rows):
    from deeplake import types

    cells = rows()
    kind = types.BoundingBox("float64", format="ltrb", bbox_type="pixel")
    lake = make_lake(schema={"corners": kind}, corners=cells["boxes"], **cells)
    assert inspect(lake.url, tensors={"gt_bboxes": "corners"}).view.roles.gt_bboxes == "corners"


def test_a_lake_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError):
        inspect(str(tmp_path / "none"))


def test_literal_secrets_are_refused(lake):
    with pytest.raises(CredentialError):
        inspect(lake.url, credentials={"token": "canary"})


def test_branches_and_tags_are_listed(lake):
    lake.dataset.branch("dev")
    lake.dataset.tag("one")
    lake.dataset.query("SELECT * LIMIT 1").tag("two")
    found = inspect(lake.url, view="two")
    assert (set(found.branches), set(found.tags), found.rows) == ({"main", "dev"}, {"one", "two"}, 1)


def test_an_older_lake_is_described(tmp_path):
    found = inspect(unpack_v3(tmp_path))
    assert (found.rows, found.problem) == (7, None)
    assert [message for _, _, message in found.versions] == ["seven rows", "four rows"]
    assert (set(found.branches), found.tags) == ({"main", "extra"}, ("big",))
    assert [name for name, *_ in found.class_counts()] == ["bolt", "nut", "washer"]
