"""What the page is told of a lake."""

from __future__ import annotations

import json
import shutil
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
from shown_lakes import (
    CLASSES,
    HEIGHT,
    ROWS,
    RUN,
    WIDTH,
    Visitor,
    boxes_of,
    errors_of,
    file_name,
    jpeg,
    write_lake,
    write_predictions,
)

from deeplake_mmdet import DeepLakeDataset, lineage
from deeplake_mmdet.browsing import open_gallery, serving
from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.lake import ImageRecord, LakeWriter


def rows_of(visitor, count=200, **told):
    status, found = visitor.told(f"/api/page?{urlencode({'count': count, **told}, doseq=True)}")
    assert status == 200, found
    assert found["count"] == len(found["items"])
    return [item["row"] for item in found["items"]]


def having(test):
    return [row for row in range(ROWS) if test(row, *boxes_of(row))]


def test_facts_and_classes(visitor, shown_lake):
    _, facts = visitor.told("/api/facts")
    assert facts["title"] == str(shown_lake)
    assert (facts["rows"], facts["class_count"], facts["runs"]) == (ROWS, 3, [RUN])
    assert facts["objects"] == sum(len(boxes_of(row)[1]) for row in range(ROWS))
    _, told = visitor.told("/api/classes?text=script")
    assert [one["name"] for one in told["classes"]] == [CLASSES[1]]
    _, told = visitor.told("/api/classes")
    counts = [one["objects"] for one in told["classes"]]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == facts["objects"]


def test_a_page_has_its_rows_in_the_order_of_the_lake(visitor):
    _, found = visitor.told("/api/page?start=20&count=7")
    assert found["count"] == ROWS
    assert [item["row"] for item in found["items"]] == list(range(20, 27))
    item = found["items"][3]
    boxes, labels = boxes_of(23)
    assert item["name"] == file_name(23)
    assert (item["width"], item["height"]) == (WIDTH, HEIGHT)
    assert item["truth"]["boxes"] == boxes.tolist()
    assert item["truth"]["labels"] == labels.tolist()
    assert found["classes"]["1"]["name"] == CLASSES[1]
    assert found["classes"]["0"]["colour"] == "#e69f00"  # of report/palette.py
    assert visitor.told("/api/page?start=1000")[1]["start"] == ROWS - 1


@pytest.mark.parametrize(
    ("told", "test"),
    [
        ({"class": [1]}, lambda row, boxes, labels: 1 in labels),
        ({"class": [1, 2]}, lambda row, boxes, labels: 1 in labels or 2 in labels),
        ({"size": ["large"]}, lambda row, boxes, labels: row % 5 == 0),
        ({"size": ["small"]}, lambda row, boxes, labels: row % 4 > 0),
        ({"size": ["large"], "class": [1]}, lambda *_: False),
        ({"objects": "without"}, lambda row, boxes, labels: not len(labels)),
        ({"objects": "with", "query": "width > 100"}, lambda row, boxes, labels: len(labels) > 0),
        ({"query": "width > 1000"}, lambda *_: False),
        ({"query": f"file_name == '{file_name(3).replace(chr(39), chr(39) * 2)}'"}, lambda row, *_: row == 3),
    ],
)
def test_filters(visitor, told, test):
    assert rows_of(visitor, **told) == having(test)


def test_orders_and_queries_with_an_order(visitor):
    counts = {row: len(boxes_of(row)[1]) for row in range(ROWS)}
    assert rows_of(visitor, order="most objects") == sorted(range(ROWS), key=lambda row: -counts[row])
    whole = "SELECT * ORDER BY width LIMIT 5"
    assert len(rows_of(visitor, query=whole)) == 5
    most = rows_of(visitor, run=RUN, order="most missed")
    assert most == sorted(range(ROWS), key=lambda row: -errors_of(row)["missed"])


def test_a_run_beside_the_truth_with_its_errors_marked(visitor):
    _, found = visitor.told(f"/api/page?count=200&run={RUN}")
    assert found["run"]["score"] == 0.3
    for item in found["items"]:
        row, expected = item["row"], errors_of(item["row"])
        kinds = item["found"]["kinds"]
        assert kinds.count("true") == expected["tp"], row
        assert kinds.count("confused") == expected["confused"], row
        assert kinds.count("false") == expected["fp"] - expected["confused"], row
        assert item["truth"]["kinds"].count("missed") == expected["missed"], row
        assert item["below"] == row % 2
    _, low = visitor.told(f"/api/page?count=200&run={RUN}&score=0.05")
    assert all(item["below"] == 0 for item in low["items"])
    for kind, number in (("missed", "missed"), ("false", "fp"), ("confused", "confused")):
        expected = [row for row in range(ROWS) if errors_of(row)[number]]
        assert rows_of(visitor, run=RUN, kind=[kind]) == expected


def test_pictures_are_small_files_that_browsers_know(visitor):
    status, headers, body = visitor.ask("/image/7")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (HEIGHT, WIDTH, 3)
    for name in (str(ROWS), "-1", "x", "1e3", "9" * 30, "%3Cscript%3E"):
        _, headers, body = visitor.ask(f"/image/{name}")
        assert headers["content-type"] == "image/svg+xml"
        assert b"no such row" in body
        assert b"<script" not in body


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("query=nonsense+%3C", "cannot be run"),
        ("query=SELECT+width", "Only queries that begin with SELECT"),
        ("query=SELECT+*+FROM+%22/etc%22", "names a lake"),
        ("class=99", "There are 3 classes"),
        ("class=x", "no number"),
        ("size=huge", "no size"),
        ("order=random", "no order"),
        ("kind=missed", "Errors can only be told of a run"),
        ("run=nobody", "no run"),
        (f"run={RUN}&score=7", "no score"),
        (f"run={RUN}&order=most+disagreement", "The run has no"),
        ("start=x", "no number"),
        ("start=1e9", "no number"),
        (f"query={'x' * 20_000}", "too long"),
    ],
)
def test_what_cannot_be_is_one_text(visitor, told, text):
    status, found = visitor.told(f"/api/page?{told}")
    assert status == 200
    assert list(found) == ["error"]
    assert text in found["error"]["what"]
    assert "Traceback" not in json.dumps(found)


def test_a_run_without_truth_is_not_judged_and_rows_it_left_out_say_so(tmp_path):
    lake = tmp_path / "lake"
    with LakeWriter(str(lake), class_names=CLASSES, box_format="ltrb", image_format="jpeg") as writer:
        for row in range(3):
            writer.append(ImageRecord(jpeg(row), WIDTH, HEIGHT, file_name(row), *boxes_of(3)))
    write_predictions(str(lake), rows=3, lowest=[0.7, -1, 0.7])
    gallery = open_gallery(lake, run=RUN)
    items = gallery.page({}, 0, 3)["items"]
    assert ["found" in item for item in items] == [True, False, True]
    assert "not predicted" in items[1]["note"]
    gallery.close()
    bare = open_gallery(lake, tensors={"gt_bboxes": False, "gt_labels": False}, classes=CLASSES)
    item = bare.page({"run": RUN}, 0, 3)["items"][0]
    assert "kinds" not in item["truth"]
    assert set(item["found"]["kinds"]) <= {""}
    bare.close()


def test_of_very_many_objects_the_first_are_sent(tmp_path):
    lake, count = tmp_path / "lake", 30_000
    with LakeWriter(str(lake), class_names=CLASSES, box_format="ltrb", image_format="jpeg") as writer:
        corners = np.random.default_rng(0).uniform(0, 100, (count, 2))
        boxes = np.concatenate([corners, corners + 20], axis=1)
        writer.append(ImageRecord(jpeg(1), WIDTH, HEIGHT, "many.jpg", boxes, np.zeros(count, np.int64)))
    write_predictions(str(lake), rows=1)
    gallery = open_gallery(lake, run=RUN)
    item = gallery.page({}, 0, 1)["items"][0]
    assert item["truth"]["count"] == count
    assert len(item["truth"]["boxes"]) == len(item["truth"]["kinds"]) == 2000
    assert len(json.dumps(item)) < 200_000
    gallery.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A lake that tests may change."""
    lake = write_lake(tmp_path_factory.mktemp("own") / "lake", rows=12)
    write_predictions(lake, rows=12)
    return lake


def test_what_was_found_and_what_was_picked_is_saved_as_views(own):
    with serving(open_gallery(own)) as found:
        visitor = Visitor(found.url)
        visitor.enter()
        body = {"name": "seen", "filters": {"class": ["1"], "run": RUN}}
        assert visitor.told("/api/view", "POST", body) == (200, {"name": "seen", "rows": 6})
        _, told = visitor.told("/api/view", "POST", {**body, "rows": [4, 2]})
        assert "has a view 'seen' already" in told["error"]["what"]
        again = {**body, "rows": [4, 2], "overwrite": True}
        assert visitor.told("/api/view", "POST", again) == (200, {"name": "seen", "rows": 2})
        for bad in (
            {"rows": []},
            {"rows": [99]},
            {"rows": [-1]},
            {"rows": ["0"]},
            {"rows": [1.5]},
            {"name": "a/b"},
        ):
            _, told = visitor.told("/api/view", "POST", {**body, "name": "other", **bad})
            assert list(told) == ["error"], bad
    data = DeepLakeDataset(path=own, view="seen", pipeline=[], test_mode=True)
    assert data.view.file_names([0, 1]) == [file_name(2), file_name(4)]  # in the order of the lake
    assert [view["name"] for view in lineage(own)["runs"][0]["views"]] == ["seen"]


def test_rows_of_a_query_keep_their_place_beside_a_run_and_in_views(own):
    with serving(open_gallery(own, query="SELECT * OFFSET 4")) as at:
        visitor = Visitor(at.url)
        visitor.enter()
        _, found = visitor.told(f"/api/page?run={RUN}&count=50")
        assert [item["name"] for item in found["items"]] == [file_name(row) for row in range(4, 12)]
        for row, item in enumerate(found["items"], start=4):
            assert item["truth"]["kinds"].count("missed") == errors_of(row)["missed"]
        assert visitor.told("/api/view", "POST", {"name": "of-a-part", "rows": [0, 3]})[0] == 200
    data = DeepLakeDataset(path=own, view="of-a-part", pipeline=[], test_mode=True)
    assert data.view.file_names([0, 1]) == [file_name(4), file_name(7)]


def test_a_run_of_an_older_version_says_how_it_is_seen(tmp_path):
    lake = write_lake(tmp_path / "lake", rows=4)
    write_predictions(lake, rows=4)
    append_row(lake)
    gallery = open_gallery(lake)
    with pytest.raises(ConfigError, match="version") as refusal:
        gallery.page({"run": RUN}, 0, 10)
    assert f"--run {RUN}" in str(refusal.value)
    gallery.close()
    first = open_gallery(lake, run=RUN)
    assert first.facts()["rows"] == 4
    assert len(first.page({"run": RUN}, 0, 10)["items"]) == 4
    first.close()


def append_row(lake):
    import deeplake

    opened = deeplake.open(lake)
    first = {column.name: list(opened[column.name][0:1]) for column in opened.schema.columns}
    opened.append({**first, "images": [jpeg(9)]})
    opened.commit("one more")


def test_a_lake_that_is_gone_or_none_is_one_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match="nothing at this path"):
        open_gallery(tmp_path / "none")
    lake = write_lake(tmp_path / "lake", rows=3)
    with serving(open_gallery(lake)) as found:
        visitor = Visitor(found.url)
        visitor.enter()
        assert visitor.told("/api/page")[0] == 200
        shutil.rmtree(lake)
        _, told = visitor.told("/api/page")
        assert "no longer at its path" in told["error"]["what"]
        _, headers, body = visitor.ask("/image/2?large=1")
        assert headers["content-type"] == "image/svg+xml"
        assert b"no longer at its path" in body
