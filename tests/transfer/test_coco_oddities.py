"""Values of COCO files that are odd: taken and counted, or refused and counted."""

import json

import deeplake
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from stock_coco import lake_infos, stock_infos

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.formats import CocoAnnotation
from deeplake_mmdet.transfer import import_coco
from deeplake_mmdet.transfer.coco_objects import settle_area, settle_box

SQUARE = [5.0, 6.0, 25.0, 6.0, 25.0, 21.0, 5.0, 21.0]


def run(made, lake):
    return import_coco(made[0], lake, images=made[1], progress=False)


def first(**values):
    """Change the first annotation; None removes a key."""

    def change(data):
        data["annotations"][0].update(values)
        for key, value in values.items():
            if value is None:
                del data["annotations"][0][key]

    return change


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"area": 0}, "area is zero; that of the box is taken"),
        ({"area": -1.5}, "area is negative; that of the box is taken"),
        ({"area": "0"}, "area is zero; that of the box is taken"),
        ({"area": None}, "area is missing; that of the box is taken"),
        ({"area": float("nan")}, "area is missing; that of the box is taken"),
        ({"area": "wide"}, "area is no number; that of the box is taken"),
        ({"area": float("inf")}, "area is no number; that of the box is taken"),
        ({"area": 10**400}, "area is no number; that of the box is taken"),
        ({"area": "9.25"}, "area is a text and taken as what it says"),
        ({"bbox": ["1", "2", "3.5", "4"]}, "box is a text and taken as what it says"),
        ({"bbox": "[1, 2, 3.5, 4]"}, "box is a text and taken as what it says"),
        ({"iscrowd": "0"}, "iscrowd is a text and taken as what it says"),
        ({"ignore": "false"}, "ignore is a text and taken as what it says"),
        ({"image_id": "0"}, "image_id is written otherwise than the image's id and matched by its number"),
    ],
)
def test_what_is_written_otherwise_is_taken_and_counted(make_coco, tmp_path, values, reason):
    summary = run(make_coco(change=first(**values)), tmp_path / "lake")
    assert summary.changes.counts == {("box", reason): 1}
    assert summary.changes.kept[0].detail == "annotation 0"
    assert lake_infos(tmp_path / "lake")[0] == [([1.0, 2.0, 4.5, 6.0], 1, 0)]
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert ds["areas"][0].tolist() == [14.0 if "taken" in reason and "that of the box" in reason else 9.25]


@pytest.mark.parametrize("value", [1, True, 1.0, 0, False, 0.0, None, 2, -1])
def test_flags_mean_what_they_mean_to_stock(make_coco, tmp_path, value):
    made = make_coco(change=first(iscrowd=value))
    summary = run(made, tmp_path / "lake")
    data = json.loads(made[0].read_text())
    assert lake_infos(tmp_path / "lake") == stock_infos(tmp_path / "copy.json", data, ("a", "b"))
    assert summary.changes.total("box") == (value in (2, -1))


def test_strays_are_counted_and_the_rest_is_what_stock_reads(make_coco, tmp_path):
    def change(data):
        box = data["annotations"][0]
        data["annotations"] += [box | {"id": 50, "image_id": 77}, box | {"id": 51, "category_id": 77}]

    made = make_coco(change=change)
    summary = run(made, tmp_path / "lake")
    assert (summary.images, summary.boxes, summary.refused_boxes) == (3, 3, 2)
    assert {(r.file.rpartition("/")[2], r.detail) for r in summary.refused} == {
        ("coco.json", "annotation 50, image_id 77"),
        ("0.jpg", "annotation 51, image_id 0, category_id 77"),
    }
    data = json.loads(made[0].read_text())
    assert lake_infos(tmp_path / "lake") == stock_infos(tmp_path / "copy.json", data, ("a", "b"))


def test_boxes_go_with_images_that_are_refused(make_coco, tmp_path):
    def change(data):
        data["images"][0]["file_name"] = None
        data["images"][1]["file_name"] = "a\0b.jpg"
        data["images"].append(None)

    summary = run(make_coco(change=change), tmp_path / "lake")
    assert (summary.images, summary.boxes, summary.refused_images, summary.lost_with_images) == (1, 1, 3, 2)
    assert "image has no file_name" in str(summary)


def test_repeated_image_ids_are_read_as_stock_reads_them(make_coco, tmp_path):
    made = make_coco(change=lambda data: data["images"][2].update(id=0))
    summary = run(made, tmp_path / "lake")
    # The annotation of image 2 has none now.
    assert (summary.images, summary.boxes, summary.refused_images, summary.refused_boxes) == (2, 2, 1, 1)
    data = json.loads(made[0].read_text())
    assert lake_infos(tmp_path / "lake") == stock_infos(tmp_path / "copy.json", data, ("a", "b"))
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert [ds["file_name"][row] for row in range(2)] == ["2.jpg", "1.jpg"]


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (32.0, 24.0, 0),
        ("32", "24", 1),
        (0, 0, 1),
        (-32, 24, 1),
        (32, None, 1),
        (None, None, 0),
        ("wide", 24, 1),
        (32.5, 24, 1),
    ],
)
def test_sizes(make_coco, tmp_path, width, height, told):
    made = make_coco(change=lambda data: data["images"][0].update(width=width, height=height))
    summary = run(made, tmp_path / "lake")
    assert (summary.images, summary.boxes, summary.changes.total("image")) == (3, 3, told)
    assert lake_infos(tmp_path / "lake")[0] == [([1.0, 2.0, 4.5, 6.0], 1, 0)]


def test_lvis_as_published(make_coco, make_image, tmp_path):
    def change(data):
        for one in data["images"]:
            address = f"http://images.cocodataset.org/val2017/{one.pop('file_name')}"
            one.update(coco_url=address, neg_category_ids=[1], not_exhaustive_category_ids=[])
        for one in data["annotations"]:
            del one["iscrowd"]
        for one in data["categories"]:
            one.update(synset="a.n.01", frequency="r", synonyms=["a"], image_count=1)

    made = make_coco(change=change)
    (made[1] / "val2017").mkdir()
    for path in [*made[1].glob("*.jpg")]:
        path.rename(made[1] / "val2017" / path.name)
    summary = run(made, tmp_path / "lake")
    assert (summary.images, summary.boxes, summary.refused) == (3, 3, [])
    assert any("images.neg_category_ids" in note and "categories.frequency" in note for note in summary.notes)
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert ds["file_name"][0] == "val2017/0.jpg"


def test_a_file_without_annotations_is_imported_without_boxes(make_coco, tmp_path):
    summary = run(make_coco(change=lambda data: data.pop("annotations")), tmp_path / "lake")
    assert (summary.images, summary.boxes) == (3, 0)
    with pytest.raises(AnnotationError, match="has no categories"):
        run(make_coco(change=lambda data: data.update(categories=[])), tmp_path / "other")


def annotation(**values):
    given = {"bbox": None, "area": None, "segmentation": None}
    return CocoAnnotation(category_id=1, id=1, iscrowd=0, ignore=None, **given | values)


def test_a_missing_box_is_that_around_the_polygons():
    box, reason = settle_box(annotation(segmentation=[SQUARE, [1, 2, 3, 2, 3, 4]]))
    assert box == [1, 2, 24, 19]
    assert "around the mask" in reason
    for unsound in (
        None,
        [],
        [[1, 2, 3, 4]],
        [[1, 2, "x", 4, 5, 6]],
        [[1] * 7],
        [[1, 1] * 3],
        {"counts": "0"},
    ):
        assert settle_box(annotation(segmentation=unsound)) == (None, "box is missing")


polygon = st.lists(st.floats(-8, 40, width=32), min_size=6, max_size=12).filter(
    lambda flat: len(flat) % 2 == 0
)


@settings(deadline=None)
@given(st.lists(polygon, min_size=1, max_size=3))
def test_areas_of_masks_are_those_of_pycocotools(polygons):
    runs = coco_mask.merge(coco_mask.frPyObjects(polygons, 24, 32))
    expected = float(coco_mask.area(runs))
    text = {"size": [24, 32], "counts": runs["counts"].decode()}
    pixels = coco_mask.decode(runs).T.reshape(-1)
    ends = np.flatnonzero(np.diff(pixels, prepend=0)).tolist()
    counts = np.diff([0, *ends, len(pixels)]).tolist()
    for segmentation in (polygons, text, {"size": [24, 32], "counts": counts}):
        area, reason = settle_area(annotation(segmentation=segmentation), [0, 0, 3, 4], (32, 24))
        assert area == (expected or 12.0)
        assert ("mask" if expected else "box") in reason


@pytest.mark.parametrize(
    "unsound",
    [
        [[1e9, 0, 2e9, 0, 2e9, 1e9]],
        [[float("nan")] * 6],
        {"size": [24, 32], "counts": "P"},
        {"size": [24, 32], "counts": "\u00e9"},
        {"size": [24, 32], "counts": ""},
        {"size": [24, 33], "counts": [0, 24 * 33]},
        {"size": [24, 32], "counts": [0, 10**9]},
        {"size": [24, 32], "counts": [0, -5]},
        {"size": "24", "counts": [0, 5]},
        {"counts": [0, 5]},
        {},
        "[[1, 2, 3, 4, 5, 6]]",
        [[[1, 2], [3, 4], [5, 6]]],
    ],
)
def test_unsound_masks_give_no_area(unsound):
    assert settle_area(annotation(segmentation=unsound), [0, 0, 3, 4], (32, 24))[0] == 12


@given(st.floats(2**-20, 1e9) | st.integers(1, 10**9))
def test_a_positive_area_stays(area):
    assert settle_area(annotation(area=area, segmentation=[SQUARE]), [0, 0, 3, 4], None) == (area, None)
