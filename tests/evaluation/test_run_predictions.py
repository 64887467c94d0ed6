"""The file of a run's predictions: what is written comes back, and what is no such file is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from lakes import make_lake

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError, StorageError
from deeplake_mmdet.evaluation import (
    gathered_predictions,
    open_recorded,
    read_run_predictions,
    write_run_predictions,
)
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.lake import Source, open_view, views

TRUTH = {
    "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    "images": [{"id": n, "width": 60, "height": 40, "file_name": f"{n}.jpg"} for n in range(1, 5)],
    "annotations": [
        {"id": n, "image_id": n, "category_id": 7, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0}
        for n in range(1, 5)
    ],
}


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return open_view(Source(make_lake(tmp_path_factory.mktemp("lakes") / "lake", TRUTH)))


def found(view, row, count, masks=None):
    boxes = np.tile([1.25, 2.5, 11.0, 22.0], (count, 1)) + row
    return Found(view.key, row, boxes, np.full(count, 0.5), np.full(count, row % 2), masks)


def gathered(view, results, **more):
    options = {"split": "val", "epoch": 3, "iteration": 12, "scores": {"coco/bbox_mAP": 0.25}, **more}
    return gathered_predictions(results, **options)[0]


def test_what_is_written_comes_back(view, tmp_path):
    results = [found(view, 2, 3, [b"a", b"", b"bc"]), found(view, 0, 0), found(view, 2, 1), found(view, 3, 2)]
    one = gathered(view, results)
    assert one.rows.tolist() == [0, 2, 3]
    assert one.starts.tolist() == [0, 0, 3, 5]
    again = read_run_predictions(write_run_predictions(tmp_path / "deep" / "val.npz", one))
    for name in ("lake", "rows", "starts", "boxes", "labels", "scores_of_boxes", "masks", "mask_starts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
        assert getattr(again, name).dtype == getattr(one, name).dtype
    assert (again.split, again.epoch, again.iteration, again.scores, again.class_names) == (
        *("val", 3, 12, {"coco/bbox_mAP": 0.25}, ("cat", "dog")),
    )
    assert [again.mask(place) for place in range(5)] == [b"a", b"", b"bc", b"", b""]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["val.npz"]


def test_a_run_without_predictions_can_be_kept(view, tmp_path):
    one = read_run_predictions(write_run_predictions(tmp_path / "val.npz", gathered(view, [])))
    assert len(one) == 0
    assert one.boxes.shape == (0, 4)
    assert one.masks is None
    assert one.mask(0) == b""


@pytest.mark.parametrize("options", [{}, {"classes": ["dog"]}])
@pytest.mark.parametrize("query", [None, "SELECT * WHERE image_id > 2"])
def test_the_lake_is_opened_again_as_it_was(tmp_path, options, query):
    source = Source(make_lake(tmp_path / "lake", TRUTH), query=query)
    first = open_view(source, tensors={"area": False}, **options)
    file = write_run_predictions(
        tmp_path / "val.npz", gathered(first, [Found(first.key, 1, *[np.zeros(0)] * 3)])
    )
    views._views.pop(first.key)  # as in another process
    again = open_recorded(read_run_predictions(file).lakes[0])
    assert again is not first
    assert again.key == first.key
    assert again.classes == first.classes
    assert len(again.table) == len(first.table)


def test_rows_in_an_order_of_their_own_are_kept(tmp_path):
    first = open_view(Source(make_lake(tmp_path / "lake", TRUTH), query="SELECT * ORDER BY RANDOM()"))
    file = write_run_predictions(tmp_path / "val.npz", gathered(first, [found(first, 1, 1)]))
    views._views.pop(first.key)
    again = open_recorded(read_run_predictions(file).lakes[0])
    assert again.table.img_ids.tolist() == first.table.img_ids.tolist()


def test_no_secret_reaches_the_file(view, tmp_path, monkeypatch):
    from deeplake_mmdet.lake import CredentialRef, put_away

    ref = CredentialRef(put_away({"creds": {"aws_secret_access_key": "HIDDEN"}}))
    one = gathered(view, [found(view, 0, 1)])
    assert one.lakes[0]["credentials"] is None
    object.__setattr__(view, "credentials", ref)
    file = write_run_predictions(tmp_path / "val.npz", gathered(view, [found(view, 0, 1)]))
    assert b"HIDDEN" not in file.read_bytes()
    assert b"DEEPLAKE_MMDET_CRED" not in file.read_bytes()
    assert read_run_predictions(file).lakes[0]["credentials"] is None


def test_lakes_of_the_memory_of_another_process_are_named(view):
    one = dict(gathered(view, [found(view, 0, 1)]).lakes[0], view_key="gone", url="mem://lake")
    with pytest.raises(SourceNotFoundError, match="memory"):
        open_recorded(one)
    with pytest.raises(SourceFormatError, match="4 rows, and gave 9"):
        open_recorded(dict(gathered(view, [found(view, 0, 1)]).lakes[0], view_key="gone", rows=9))
    with pytest.raises(SourceFormatError, match="recorded of a lake"):
        open_recorded(dict(one, url="/x", queries=3))


def damaged(one, tmp_path, **changes):
    path = write_run_predictions(tmp_path / "val.npz", one)
    with np.load(path) as file:
        arrays = dict(file)
    facts = json.loads(arrays["facts"].tobytes())
    facts.update({name: value for name, value in changes.items() if name not in arrays})
    arrays.update({name: value for name, value in changes.items() if name in arrays})
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": np.array([0, 2], np.int64)},
        {"starts": np.array([1, 1], np.int64)},
        {"labels": np.array([2], np.int32)},
        {"labels": np.array([0.0])},
        {"lake": np.array([1], np.int32)},
        {"rows": np.array([4], np.int64)},
        {"boxes": np.zeros((2, 4), np.float32)},
        {"format": 99},
        {"class_names": None},
        {"lakes": "x"},
        {"scores": {"a": "b"}},
    ],
)
def test_a_damaged_file_is_named(view, tmp_path, changes):
    path = damaged(gathered(view, [found(view, 0, 1)]), tmp_path, **changes)
    with pytest.raises(SourceFormatError, match=r"val\.npz"):
        read_run_predictions(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no file", b"\x93NUMPY"])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    (tmp_path / "val.npz").write_bytes(content)
    with pytest.raises(SourceFormatError, match=r"val\.npz"):
        read_run_predictions(tmp_path / "val.npz")


def test_files_that_cannot_be_read_or_written_are_named(view, tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"val\.npz"):
        read_run_predictions(tmp_path / "val.npz")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file"):
        write_run_predictions(tmp_path / "file" / "val.npz", gathered(view, []))


def test_pickles_are_not_read(view, tmp_path):
    path = write_run_predictions(tmp_path / "val.npz", replace(gathered(view, []), split="test"))
    with np.load(path) as file:
        arrays = dict(file)
    arrays["rows"] = np.array([print], object)
    np.savez(path, **arrays)
    with pytest.raises(SourceFormatError, match="allow_pickle"):
        read_run_predictions(path)
