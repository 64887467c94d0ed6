import json

import pytest

from deeplake_mmdet.errors import AnnotationError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats import load_coco


def good():
    return {
        "info": {},
        "categories": [{"id": 7, "name": "dog", "supercategory": "pet"}, {"id": 3, "name": "cat"}],
        "images": [
            {"id": 5, "file_name": "a.jpg", "width": 8, "height": 6},
            {"id": 2, "file_name": "b.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 3, "bbox": [0, 0.5, 2, 3], "iscrowd": 1},
            {"id": 2, "image_id": 2, "category_id": 7, "bbox": [1, 1, 2, 2], "keypoints": [1]},
            {"id": 3, "image_id": 5, "category_id": 7, "bbox": [1, 1, 2, 2], "segmentation": [[1, 2, 3]]},
        ],
    }


def write(tmp_path, data):
    path = tmp_path / "instances.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_order_ids_and_grouping(tmp_path):
    coco = load_coco(write(tmp_path, good()))
    assert coco.class_names == ("dog", "cat")
    assert coco.category_ids == (7, 3)
    assert [image.id for image in coco.images] == [5, 2]
    assert coco.images[1].width is None
    assert [a.id for a in coco.annotations_of(5)] == [1, 3]
    assert coco.annotations_of(5)[0].iscrowd == 1
    assert coco.annotations_of(5)[1].segmentation == [[1, 2, 3]]
    assert coco.annotations_of(99) == ()


def test_what_is_not_read_is_named(tmp_path):
    coco = load_coco(write(tmp_path, good()))
    assert coco.unread == ("annotations.keypoints", "categories.supercategory", "info")


def test_repeated_annotation_ids_are_counted(tmp_path):
    data = good()
    data["annotations"][2]["id"] = 1
    assert load_coco(write(tmp_path, data)).repeated_annotation_ids == 1


def broken(change):
    data = good()
    change(data)
    return data


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ("{", SourceFormatError, "not JSON"),
        ("[]", SourceFormatError, "one JSON object"),
        ({"images": [], "categories": []}, SourceFormatError, "'annotations'"),
        (broken(lambda d: d["images"].append({"id": 9})), SourceFormatError, "'file_name' (id 9)"),
        (broken(lambda d: d["annotations"].append(3)), SourceFormatError, "not an object"),
        (broken(lambda d: d["annotations"][0].pop("image_id")), SourceFormatError, "'image_id'"),
        (broken(lambda d: d["images"][1].update(id=5)), AnnotationError, "image ids: 5"),
        (broken(lambda d: d["categories"][1].update(id=7)), AnnotationError, "category ids: 7"),
        (broken(lambda d: d["categories"][1].update(name="dog")), AnnotationError, "names: 'dog'"),
        (broken(lambda d: d["annotations"][0].update(image_id=4)), AnnotationError, "1 names image 4"),
        (broken(lambda d: d["annotations"][1].update(category_id=8)), AnnotationError, "2 names category 8"),
        (broken(lambda d: d["images"][0].update(id="x")), AnnotationError, "'x'"),
        (
            broken(lambda d: d["annotations"][0].update(iscrowd=2)),
            AnnotationError,
            "'iscrowd' of annotation 1",
        ),
    ],
)
def test_unsound_files_are_refused(tmp_path, data, error, said):
    path = write(tmp_path, data)
    with pytest.raises(error) as caught:
        load_coco(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(SourceNotFoundError):
        load_coco(tmp_path / "none.json")
