"""Ids of all kinds, from a COCO file through the lake to predictions."""

import json

import deeplake
import pytest
from stock_coco import lake_infos, stock_infos

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.evaluation import evaluate_predictions
from deeplake_mmdet.transfer import import_coco


def run(made, lake):
    return import_coco(made[0], lake, images=made[1], progress=False)


KINDS = {
    "texts": "im_{}".format,
    "digits": "00{}".format,
    "floats": float,
    "fractions": lambda i: i + 0.5,
    "big": lambda i: 2**63 + i,
    "negative": lambda i: -5 - i,
    "mixed": lambda i: [7, "7", "", "\ud800", 1.5][i % 5],
}


def renamed(image_id, category_id=lambda c: c):
    def change(data):
        for one in data["images"]:
            one["id"] = image_id(one["id"])
        for one in data["annotations"]:
            one["image_id"], one["category_id"] = image_id(one["image_id"]), category_id(one["category_id"])
        for one in data["categories"]:
            one["id"] = category_id(one["id"])

    return change


@pytest.mark.parametrize("kind", KINDS)
def test_image_ids_come_back_as_stock_reads_them(make_coco, tmp_path, kind):
    made = make_coco(5, change=renamed(KINDS[kind], "c{}".format))
    summary = run(made, tmp_path / "lake")
    assert (summary.images, summary.boxes, summary.changes.counts) == (5, 5, {})
    stock = stock_infos(tmp_path / "copy.json", json.loads(made[0].read_text()), ("a", "b"))
    found = lake_infos(tmp_path / "lake")
    assert found == stock
    assert [*map(type, found)] == [*map(type, stock)] or kind == "floats"


def predictions(data):
    return [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 0.5}
        for one in data["annotations"]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_match_by_the_sources_ids(make_coco, tmp_path, kind):
    made = make_coco(5, change=renamed(KINDS[kind], "c{}".format))
    run(made, tmp_path / "lake")
    entries = predictions(json.loads(made[0].read_text()))
    assert evaluate_predictions(entries, tmp_path / "lake").metrics["coco/bbox_mAP"] == 1
    with pytest.raises(AnnotationError, match="no image with the id 'nowhere'"):
        evaluate_predictions([{**entries[0], "image_id": "nowhere"}], tmp_path / "lake")
    with pytest.raises(AnnotationError, match=r"no category with the id 'd'.*it has c4 \(a\), c2 \(b\)"):
        evaluate_predictions([{**entries[0], "category_id": "d"}], tmp_path / "lake")


def test_predictions_may_state_the_same_number_otherwise(make_coco, tmp_path):
    made = make_coco()
    run(made, tmp_path / "lake")
    entries = predictions(json.loads(made[0].read_text()))
    for entry, kind in zip(entries, (str, float, "{}.0".format), strict=True):
        entry.update(image_id=kind(entry["image_id"]), category_id=kind(entry["category_id"]))
    assert evaluate_predictions(entries, tmp_path / "lake").metrics["coco/bbox_mAP"] == 1
    with pytest.raises(AnnotationError, match=r"no image with the id 0\.5"):
        evaluate_predictions([{**entries[0], "image_id": 0.5}], tmp_path / "lake")


@pytest.mark.parametrize("ending", ["json", "parquet"])
@pytest.mark.parametrize("kind", ["texts", "big", "fractions", "digits"])
def test_predictions_are_written_with_the_sources_ids(make_coco, tmp_path, kind, ending):
    from deeplake_mmdet.evaluation.export import write_predictions
    from deeplake_mmdet.evaluation.from_file import found_in
    from deeplake_mmdet.evaluation.truth import scope_of
    from deeplake_mmdet.lake import Source, open_view

    if ending == "parquet":
        pytest.importorskip("pyarrow")
    made = make_coco(5, change=renamed(KINDS[kind], "c{}".format))
    run(made, tmp_path / "lake")
    entries = predictions(json.loads(made[0].read_text()))
    view = open_view(Source(str(tmp_path / "lake")))
    scope = scope_of(found_in(entries, view, "here"))
    (file,) = write_predictions(scope, tmp_path / f"found.{ending}")
    assert evaluate_predictions(file, tmp_path / "lake").metrics["coco/bbox_mAP"] == 1
    if ending == "json":
        written = json.loads(file.read_text())
        key = "image_id", "category_id"
        assert {tuple(one[k] for k in key) for one in written} == {
            tuple(one[k] for k in key) for one in entries
        }


@pytest.mark.parametrize(
    ("ids", "whole", "kept"),
    [
        (["a", "b", "c"], [1, 2, 3], ["a", "b", "c"]),
        ([1, 2.5, None], [1, 2, 3], [1, 2.5, None]),
        ([5, "5", 2**64], [1, 2, 3], [5, "5", 2**64]),
        ([3.0, -1, 7], [3, -1, 7], None),
        ([7, 7, 7], [7, 7, 7], None),
        ([None, None, None], None, None),
    ],
)
def test_annotation_ids_are_kept(make_coco, tmp_path, ids, whole, kept):
    def change(data):
        for one, name in zip(data["annotations"], ids, strict=True):
            one["id"] = name

    assert run(make_coco(change=change), tmp_path / "lake").boxes == 3
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    present = {column.name for column in ds.schema.columns}
    assert ("annotation_ids" in present, "annotation_source_ids" in present) == (
        whole is not None,
        kept is not None,
    )
    if whole is not None:
        assert [ds["annotation_ids"][row].tolist() for row in range(3)] == [[one] for one in whole]
    if kept is not None:
        assert [json.loads(ds["annotation_source_ids"][row]) for row in range(3)] == [[one] for one in kept]


def test_columns_of_ids_are_no_masks(make_coco, tmp_path):
    from deeplake_mmdet.lake import Source, open_view

    def change(data):
        renamed("im_{}".format)(data)
        for one in data["annotations"]:
            one["id"] = str(one["id"])

    run(make_coco(change=change), tmp_path / "lake")
    view = open_view(Source(str(tmp_path / "lake")))
    assert view.roles.gt_masks is None
    assert [view.table.image_id(row) for row in range(3)] == ["im_0", "im_1", "im_2"]
    turned = open_view(Source(str(tmp_path / "lake")), apply_exif=True)
    assert turned.table.image_id(2) == "im_2"
    other = open_view(Source(str(tmp_path / "lake")), tensors={"img_id": False})
    assert [other.table.image_id(row) for row in range(3)] == [0, 1, 2]


def test_ids_follow_the_rows_of_a_query(make_coco, tmp_path):
    from deeplake_mmdet.lake import Source, open_view

    run(make_coco(4, change=renamed("im_{}".format)), tmp_path / "lake")
    view = open_view(Source(str(tmp_path / "lake"), query="SELECT * ORDER BY file_name DESC LIMIT 2"))
    assert [view.table.image_id(row) for row in range(2)] == ["im_3", "im_2"]
