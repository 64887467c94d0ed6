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


def test_what_is_kept_though_not_read_is_named(tmp_path):
    coco = load_coco(write(tmp_path, good()))
    assert coco.kept == ("annotations.keypoints", "categories.supercategory", "info")
    assert coco.unread == ()


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
        ("[]", SourceFormatError, "holds a list"),
        ("3", SourceFormatError, "one JSON object"),
        (
            '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]',
            SourceFormatError,
            "results",
        ),
        ({"shapes": [], "imagePath": "a.jpg"}, SourceFormatError, "'images' but keys 'shapes', 'imagePath'"),
        (broken(lambda d: d.pop("categories")), SourceFormatError, "'categories'"),
        (broken(lambda d: d.update(categories=["dog", "cat"])), AnnotationError, "the first is 'dog'"),
        (broken(lambda d: d.update(images={})), SourceFormatError, "'images' but dict"),
        (broken(lambda d: d["categories"][1].update(id=7)), AnnotationError, "category ids: 7"),
        (broken(lambda d: d["categories"][1].update(id=7.0)), AnnotationError, "category ids: 7"),
        (broken(lambda d: d["categories"][1].update(id=None)), AnnotationError, "named 'cat' is None"),
        (broken(lambda d: d["categories"][1].update(name="dog")), AnnotationError, "names: 'dog'"),
        (broken(lambda d: d["categories"][1].update(name="")), AnnotationError, "name of category 3 is ''"),
        (broken(lambda d: d["categories"][1].pop("name")), AnnotationError, "name of category 3 is None"),
        (broken(lambda d: d["categories"][1].update(name="\ud800")), AnnotationError, "name of category 3"),
    ],
)
def test_unsound_files_are_refused(tmp_path, data, error, said):
    path = write(tmp_path, data)
    with pytest.raises(error) as caught:
        load_coco(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def strays(coco):
    return [(kind, reason) for kind, reason, _ in coco.strays]


def test_strays_are_refused_one_by_one(tmp_path):
    data = good()
    data["annotations"] += [
        None,
        [],
        {"id": 10, "image_id": 6, "category_id": 3},
        {"id": 11, "image_id": 5, "category_id": 8},
        {"id": 12, "category_id": 3},
        {"id": 13, "image_id": 5, "caption": "a dog"},
        {"id": 14, "image_id": True, "category_id": 3},
        {"id": 15, "image_id": 2, "category_id": 3, "iscrowd": "maybe"},
    ]
    coco = load_coco(write(tmp_path, data))
    assert [a.id for a in (*coco.annotations_of(5), *coco.annotations_of(2))] == [1, 3, 2]
    assert strays(coco) == [
        ("box", "entry of 'annotations' is not an object"),
        ("box", "entry of 'annotations' is not an object"),
        ("box", "annotation names an image that the file does not have"),
        ("box", "annotation has no image_id"),
        ("box", "image_id is neither number nor text"),
    ]
    assert coco.refused_of == {
        5: [
            (
                "annotation names a category that the file does not have",
                "annotation 11, image_id 5, category_id 8",
            ),
            ("annotation has no category_id (a caption?)", "annotation 13, image_id 5, category_id None"),
        ],
        2: [("iscrowd cannot be read as 0 or 1", "annotation 15, image_id 2, iscrowd 'maybe'")],
    }


def test_images_are_refused_one_by_one(tmp_path):
    data = good()
    data["images"] += [
        None,
        {"file_name": "c.jpg"},
        {"id": [1], "file_name": "d.jpg"},
        {"id": 9},
        {"id": 8, "file_name": 8},
    ]
    coco = load_coco(write(tmp_path, data))
    assert strays(coco) == [
        ("image", "entry of 'images' is not an object"),
        ("image", "image has no id"),
        ("image", "image id is neither number nor text"),
    ]
    # These may have annotations, which go with them.
    assert [image.fault and image.fault[0] for image in coco.images] == [
        None,
        None,
        "image has no file_name",
        "file_name is no name of a file",
    ]


def test_of_a_repeated_image_id_the_last_counts(tmp_path):
    data = good()
    data["images"] += [{"id": 5.0, "file_name": "c.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    coco = load_coco(write(tmp_path, data))
    # As in pycocotools: the last record, in the place of the first.
    assert [(image.id, image.file_name) for image in coco.images] == [(5, "c.jpg"), (2, "b.jpg")]
    assert coco.strays == (
        (
            "image",
            "image id is repeated, and its last image is taken",
            "id 5, file_name 'a.jpg'; taken: 'c.jpg'",
        ),
    )
    assert any("1 images are listed twice" in note for note in coco.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda a: a.update(image_id=f"im{a['image_id']}"),
            'numbers 2 to 5, the annotations name texts such as "im5", "im2"',
        ),
        (
            lambda a: a.update(image_id=a["image_id"] + 1000),
            "numbers 2 to 5, the annotations name the numbers 1002 to 1005",
        ),
        (lambda a: a.update(category_id=a["category_id"] - 100), "ids of categories are the numbers 3 to 7"),
        (lambda a: (a.pop("category_id"), a.update(caption="x")), "(a caption?): 3"),
    ],
)
def test_if_nothing_can_be_taken_the_cause_is_named(tmp_path, change, said):
    data = good()
    for annotation in data["annotations"]:
        change(annotation)
    with pytest.raises(AnnotationError, match="None of the 3 annotations") as caught:
        load_coco(write(tmp_path, data))
    assert said in str(caught.value)


def test_equal_ids_match_first_then_equal_numbers(tmp_path):
    data = good()
    data["images"].append({"id": "5", "file_name": "c.jpg"})
    data["images"].append({"id": "im_1", "file_name": "d.jpg"})
    data["annotations"][0]["image_id"] = 5.0  # equal to 5, as in pycocotools
    data["annotations"][1].update(image_id="002", category_id="7.0")
    data["annotations"][2]["image_id"] = "im_1"
    coco = load_coco(write(tmp_path, data))
    assert {key: [a.id for a in found] for key, found in coco.annotations.items()} == {
        5: [1],
        2: [2],
        "im_1": [3],
    }
    assert coco.annotations_of(5)[0].changes == ()
    assert [change.split()[0] for change in coco.annotations_of(2)[0].changes] == ["image_id", "category_id"]


def test_a_number_that_several_ids_state_names_none(tmp_path):
    data = good()
    data["images"] = [
        {"id": "5", "file_name": "a.jpg"},
        {"id": "05", "file_name": "b.jpg"},
        {"id": 2, "file_name": "c.jpg"},
    ]
    coco = load_coco(write(tmp_path, data))
    assert list(coco.annotations) == [2]
    assert len(coco.strays) == 2


def test_a_file_for_a_test_set_has_images_only(tmp_path):
    coco = load_coco(write(tmp_path, broken(lambda d: d.pop("annotations"))))
    assert len(coco.images) == 2
    assert any("no list of annotations" in note for note in coco.notes)


def test_odd_categories_are_noted(tmp_path):
    data = good()
    data["categories"] += [None, {"id": 7, "name": "dog"}, {"id": 1, "name": 4}, {"id": "x", "name": "Cat"}]
    coco = load_coco(write(tmp_path, data))
    assert coco.class_names == ("dog", "cat", "4", "Cat")
    assert coco.category_ids == (7, 3, 1, "x")
    assert len(coco.notes) == 3


def test_images_of_lvis_are_named_by_their_address(tmp_path):
    data = good()
    data["images"][0] = {"id": 5, "coco_url": "http://images.cocodataset.org/val2017/000000000139.jpg"}
    coco = load_coco(write(tmp_path, data))
    assert coco.images[0].file_name == "val2017/000000000139.jpg"
    assert coco.images[0].remainder["lacks"][0] == "file_name"


def test_missing_file(tmp_path):
    with pytest.raises(SourceNotFoundError):
        load_coco(tmp_path / "none.json")
