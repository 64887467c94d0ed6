"""YOLO data sets as lakes: the same boxes as by the formats that they were made from."""

import io
import json
import os
import shutil
from pathlib import Path

import deeplake
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet import import_coco, import_voc, import_yolo
from deeplake_mmdet.errors import AnnotationError, ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats.coco import load_coco
from deeplake_mmdet.formats.voc_split import load_voc
from s3 import s3_endpoint

WIDTH, HEIGHT = 32, 24  # of the images that make_image makes


@pytest.fixture
def make_set(tmp_path, make_image):
    """Write a YOLO data set: texts of label files by image name (None for no file), and data.yaml."""

    def make(labels, yaml="train: images\nnames: [cat, dog]\n", folder="set", images="images"):
        root = tmp_path / folder
        for number, (name, text) in enumerate(labels.items()):
            image = root / images / name
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(make_image(seed=number))
            label = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
            label.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                label.write_text(text)
        if yaml is not None:
            (root / "data.yaml").write_text(yaml)
        return root

    return make


def take(data, lake, **options):
    summary = import_yolo(data, lake, progress=False, **options)
    return summary, deeplake.open_read_only(str(lake))


def xywh(ds, row):
    return np.array(ds["boxes"][row], np.float64).reshape(-1, 4)


def test_boxes_of_voc_come_back(shared_data, tmp_path):
    root, sizes = shared_data / "bccd", {}
    split = load_voc(root, "test")
    (tmp_path / "set/labels").mkdir(parents=True)
    (tmp_path / "set/images").symlink_to(root / "JPEGImages")
    for image in split.images():
        width, height = sizes[image.image_path.name] = image.size
        lines = [
            f"{split.class_names.index(o.name)} {(x + u) / 2 / width:.6f} {(y + v) / 2 / height:.6f} "
            f"{(u - x) / width:.6f} {(v - y) / height:.6f}"
            for o in image.objects
            for x, y, u, v in [o.box]
        ]
        (tmp_path / f"set/labels/{image.image_id}.txt").write_text("\n".join(lines))
    (tmp_path / "set/test.txt").write_text("".join(f"./images/{i}.jpg\n" for i in split.ids))
    (tmp_path / "set/data.yaml").write_text(f"test: test.txt\nnames: {list(split.class_names)}\n")
    import_voc(root, tmp_path / "voc", split="test", progress=False)
    _, ours = take(tmp_path / "set", tmp_path / "lake")
    theirs = deeplake.open_read_only(str(tmp_path / "voc"))
    assert len(ours) == len(theirs)
    for row, image_id in enumerate(split.ids):
        assert ours["file_name"][row] == f"images/{image_id}.jpg"
        assert ours["images"].get_bytes(row) == theirs["images"].get_bytes(row)
        assert ours["labels"][row].tolist() == theirs["labels"][row].tolist()
        corners = xywh(ours, row)
        corners[:, 2:] += corners[:, :2]
        np.testing.assert_allclose(corners, xywh(theirs, row), atol=1e-3)


def test_polygons_of_coco_come_back(shared_data, tmp_path):
    coco = load_coco(shared_data / "nuts/trainval.json")
    (tmp_path / "set/labels").mkdir(parents=True)
    (tmp_path / "set/images").symlink_to(shared_data / "nuts/images")
    names = [category.name for category in coco.categories]
    ids = [category.id for category in coco.categories]
    for image in coco.images:
        size = (image.width, image.height)
        lines = []
        for one in coco.annotations_of(image.id):
            points = [f"{v / size[k % 2]:.9f}" for k, v in enumerate(one.segmentation[0])]
            lines.append(" ".join([str(ids.index(one.category_id)), *points]))
        (tmp_path / "set/labels" / image.file_name).with_suffix(".txt").write_text("\n".join(lines))
    (tmp_path / "set/classes.txt").write_text("\n".join(names))
    summary, ours = take(tmp_path / "set", tmp_path / "lake")
    assert summary.boxes == sum(len(coco.annotations_of(image.id)) for image in coco.images)
    assert not summary.refusals.counts
    rows = {name: row for row, name in enumerate(ours["file_name"][:])}
    for image in coco.images:
        row = rows[image.file_name]
        masks = json.loads(ours["segmentations"][row])
        for one, mask, box in zip(coco.annotations_of(image.id), masks, xywh(ours, row), strict=True):
            points = np.array(one.segmentation[0])
            np.testing.assert_allclose(mask[0], points, atol=1e-4)
            low = [points[0::2].min(), points[1::2].min()]
            high = [points[0::2].max(), points[1::2].max()]
            np.testing.assert_allclose(box, [*low, *np.subtract(high, low)], atol=1e-4)


def test_a_lake_of_polygons_trains_with_masks(make_set, tmp_path):
    from deeplake_mmdet.lake import inspect

    root = make_set({"a.jpg": "0 .1 .1 .9 .1 .5 .9\n1 .5 .5 .2 .2\n", "b.jpg": ""})
    take(root, tmp_path / "lake")
    assert "segmentations" in str(inspect(str(tmp_path / "lake")))


NUMBER = st.floats(0, 1)
SIZE = st.floats(1e-3, 1)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1), NUMBER, NUMBER, SIZE, SIZE), unique=True, min_size=1))
def test_boxes_come_through(make_set, tmp_path, objects):
    text = "\n".join(" ".join(map(repr, values)) for values in objects)
    _, ds = take(make_set({"a.jpg": text}), tmp_path / "lake", overwrite=True)
    assert ds["labels"][0].tolist() == [values[0] for values in objects]
    x, y, w, h = (xywh(ds, 0) / [WIDTH, HEIGHT, WIDTH, HEIGHT]).T
    found = np.stack([x + w / 2, y + h / 2, w, h], 1)
    np.testing.assert_allclose(found, [values[1:] for values in objects], rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["auto", "turn", "stored"])
def test_boxes_are_fractions_of_the_image_as_it_is_shown(make_set, tmp_path, mode):
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(out, "jpeg", exif=exif)
    root = make_set({"a.jpg": "0 .25 .5 .5 .5\n0 .1 .1 .9 .1 .5 .9"})
    (root / "images/a.jpg").write_bytes(out.getvalue())
    _, ds = take(root, tmp_path / "lake", exif=mode)
    width, height = (40, 20) if mode == "stored" else (20, 40)
    assert (ds["width"][0], ds["height"][0]) == (width, height)
    np.testing.assert_allclose(xywh(ds, 0)[0], [0, height / 4, width / 2, height / 2])
    np.testing.assert_allclose(xywh(ds, 0)[1], [width * 0.1, height * 0.1, width * 0.8, height * 0.8])


def test_refusals_and_background_are_named(make_set, tmp_path):
    good = "1 .5 .5 .5 .5\n"
    root = make_set(
        {"a.jpg": good + "7 .5 .5 .5 .5\n" + good, "b.jpg": None, "c.jpg": "", "d.jpg": good, "e.jpg": good}
    )
    (root / "labels/d.txt").write_bytes(b"\xff\xfe\xfa")
    (root / "images/e.jpg").write_bytes(b"no image")
    (root / "labels/f.txt").write_text(good)
    summary, ds = take(root, tmp_path / "lake")
    assert list(ds["file_name"][:]) == ["a.jpg", "b.jpg", "c.jpg"]
    assert summary.class_counts == {"cat": 0, "dog": 1}
    assert (summary.empty_images, summary.emptied_images, summary.lost_with_images) == (2, 0, 1)
    assert {
        (one.file.rpartition("/")[2], one.reason, one.detail) for one in summary.refused if one.kind == "box"
    } == {
        ("a.txt", "class number has no name", "line 2: '7 .5 .5 .5 .5'"),
        ("a.txt", "line is repeated", "line 3: '1 .5 .5 .5 .5'"),
    }
    assert {(Path(one.file).name, one.reason) for one in summary.refused if one.kind == "image"} == {
        ("d.txt", "label file is no text"),
        ("e.jpg", "not an image that OpenCV reads"),
    }
    notes = "\n".join(summary.notes)
    assert "1 images have no label file" in notes
    assert f"1 text files among the labels belong to no image: {root}/labels/f.txt" in notes


def test_keypoints_and_rotated_boxes_are_told(make_set, tmp_path):
    yaml = "train: images\nnames: [cat]\nkpt_shape: [2, 3]\n"
    root = make_set({"a.jpg": "0 .5 .5 .5 .5 .1 .1 2 .2 .2 1\n"}, yaml)
    summary, ds = take(root, tmp_path / "pose")
    assert "the keypoints of 1 objects" in "\n".join(summary.notes)
    np.testing.assert_allclose(xywh(ds, 0), [[WIDTH / 4, HEIGHT / 4, WIDTH / 2, HEIGHT / 2]])
    root = make_set({"a.jpg": "0 .5 .1 .9 .5 .5 .9 .1 .5\n"}, folder="obb")
    summary, ds = take(root, tmp_path / "obb-lake")
    assert "four points, as rotated boxes (OBB) do" in "\n".join(summary.notes)
    np.testing.assert_allclose(xywh(ds, 0), [[WIDTH * 0.1, HEIGHT * 0.1, WIDTH * 0.8, HEIGHT * 0.8]])


def names(ds):
    return sorted(ds["file_name"][:])


@pytest.mark.parametrize(
    ("yaml", "images"),
    [
        ("path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}", "images/train"),
        ("path: /content/gone\ntrain: images/train\nval: images/val\nnames: [cat, dog]", "images/train"),
        ("path: set\ntrain: images/train/\nnames: [cat, dog]\nnc: 2", "images/train"),
        ("train: ../train/images\nval: ../valid/images\nnames: ['cat', 'dog']", "train/images"),
        ("train: [train/images]\nval:\ntest: # later\nnames: [cat, dog]", "train/images"),
        ("train: 'images\\train'\nnames: [cat, dog]\ndownload: exit(1)", "images/train"),
        ("train: all\nnames: [cat, dog]", "all"),  # side by side
    ],
)
def test_places_of_images_as_people_write_them(make_set, tmp_path, monkeypatch, yaml, images):
    monkeypatch.chdir(tmp_path)
    root = make_set({"a.jpg": "1 .5 .5 .5 .5", "deep/b b.jpg": "0 .5 .5 .5 .5"}, yaml, images=images)
    summary, ds = take(root / "data.yaml", tmp_path / "lake", split="train")
    assert names(ds) == ["a.jpg", "deep/b b.jpg"]
    assert summary.class_counts == {"cat": 1, "dog": 1}
    assert take(root, tmp_path / "again", split="Train")[0].boxes == 2
    assert ("does not lead" in "\n".join(summary.notes)) == ("gone" in yaml)


def test_a_zip_file_of_one_folder(make_set, tmp_path):
    yaml = "train: ../train/images\nval: ../valid/images\nnames: [cat, dog]"
    make_set({"a.jpg": "1 .5 .5 .5 .5", "b.jpg": None}, yaml, images="train/images", folder="zip/set")
    shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "zip")
    shutil.rmtree(tmp_path / "zip")
    summary, ds = take(tmp_path / "set.zip", tmp_path / "lake", split="train")
    assert names(ds) == ["a.jpg", "b.jpg"]
    assert (summary.class_counts, summary.empty_images) == ({"cat": 0, "dog": 1}, 1)


def test_an_address(make_set, tmp_path):
    pytest.importorskip("moto.server")
    root = make_set({f"{n}.jpg": f"1 .5 .5 .5 .{n}" for n in range(1, 9)})
    with s3_endpoint() as endpoint:
        url = endpoint.upload(root, "yolo")
        _, ds = take(url, tmp_path / "lake", creds=endpoint.creds)
    assert names(ds) == [f"{n}.jpg" for n in range(1, 9)]
    assert [xywh(ds, row)[0, 3] for row in range(8)] == pytest.approx([HEIGHT * n / 10 for n in range(1, 9)])


def test_lists_of_images(make_set, tmp_path):
    root = make_set({"a.jpg": "1 .5 .5 .5 .5", "b.jpg": "0 .5 .5 .5 .5"}, "train: [t.txt]\nnames: [cat, dog]")
    (root / "t.txt").write_text(f"./images/b.jpg\n\n{root}/images/a.jpg\nimages/b.jpg\nimages/none.jpg\n")
    summary, ds = take(root, tmp_path / "lake")
    assert list(ds["file_name"][:]) == ["images/b.jpg", "images/a.jpg"]
    assert [(Path(one.file).name, one.reason) for one in summary.refused] == [
        ("b.jpg", "image is named once more in the split"),
        ("none.jpg", "image file is missing"),
    ]


def test_several_folders_with_the_same_names(make_set, tmp_path):
    yaml = "train: [one/images, two/images, two/images]\nnames: [cat, dog]"
    make_set({"a.jpg": "1 .5 .5 .5 .5"}, None, images="one/images")
    root = make_set({"a.jpg": "0 .5 .5 .5 .5"}, yaml, images="two/images")
    _, ds = take(root, tmp_path / "lake")
    assert names(ds) == ["one/images/a.jpg", "two/images/a.jpg"]
    assert sorted(ds["labels"][row].tolist() for row in (0, 1)) == [[0], [1]]


@pytest.mark.parametrize(
    ("images", "split"),
    [("images", None), ("images/train2017", None), ("train/images", "train"), (".", None), ("val", "val")],
)
def test_folders_without_yaml(make_set, tmp_path, images, split):
    root = make_set({"a.jpg": "1 .5 .5 .5 .5"}, None, images=images)
    with pytest.raises(SourceFormatError, match="what its classes are called"):
        take(root, tmp_path / "lake", split=split)
    summary, ds = take(root, tmp_path / "lake", split=split, classes=["x", "y"])
    assert summary.class_counts == {"x": 0, "y": 1}
    (root / "classes.txt").write_text("cat\ndog\n\n")
    summary, ds = take(root, tmp_path / "lake", split=split, overwrite=True)
    assert summary.class_counts == {"cat": 0, "dog": 1}
    assert names(ds) == ["a.jpg"]
    assert "belong to no image" not in "\n".join(summary.notes)


def test_labels_under_another_unicode_form(make_set, tmp_path):
    root = make_set({"f\u00fcr.jpg": None, "B.JPG": None, "c.jpg": ""})
    (root / "labels/fu\u0308r.txt").write_text("0 .5 .5 .5 .5")
    (root / "labels/b.TXT").write_text("0 .5 .5 .5 .5")
    summary, _ = take(root, tmp_path / "lake")
    assert summary.boxes == 2
    assert summary.changes.counts["image", "label file found under another name"] == 2


def test_classes_limit_and_map(make_set, tmp_path):
    yaml = "train: images\nnames: {3: cat, 5: dog, 9: cow}\n"
    texts = {"a.jpg": "3 .5 .5 .5 .5\n9 .5 .5 .5 .5\n", "b.jpg": "5 .5 .5 .5 .5", "c.jpg": "4 .5 .5 .5 .5"}
    root = make_set(texts, yaml)
    summary, _ = take(root, tmp_path / "lake", limit=2)
    assert (summary.images, summary.class_counts) == (2, {"cat": 1, "dog": 1, "cow": 1})
    summary, ds = take(root, tmp_path / "lake", map={"cow": "cat", "dog": "wolf"}, overwrite=True)
    assert summary.class_counts == {"cat": 2, "wolf": 1}
    assert list(ds["labels"].metadata["class_names"]) == ["cat", "wolf"]
    summary, _ = take(root, tmp_path / "lake", map={"cow": "cat"}, classes=["cat"], overwrite=True)
    assert summary.class_counts == {"cat": 2}
    assert summary.refusals.counts == {
        ("box", "class is not in the class list"): 1,
        ("box", "class number has no name"): 1,
    }
    for options, told in (
        ({"map": {"cwo": "cat"}}, "did you mean 'cow'"),
        ({"classes": ["dgo"]}, "did you mean 'dog'"),
        ({"map": {"cat": ""}}, "'map' is"),
        ({"map": "cat=dog"}, "'map' is"),
        ({"limit": 0}, "'limit' is 0"),
        ({"classes": []}, "names none"),
    ):
        with pytest.raises(ConfigError, match=told):
            take(root, tmp_path / "lake", overwrite=True, **options)


@pytest.mark.parametrize(
    ("yaml", "error", "told"),
    [
        ("", SourceFormatError, "holds nothing"),
        ("just text", SourceFormatError, "holds a str"),
        ("train: [images", SourceFormatError, "not YAML"),
        ("train: images\nnames: !!python/object/apply:os.system ['false']", SourceFormatError, "not YAML"),
        ("train: images\nnames: &a [x]\nval: *a", SourceFormatError, "aliases"),
        ("train: 2020-13-45", SourceFormatError, "cannot be read"),
        ("[" * 3000 + "]" * 3000, SourceFormatError, "cannot be read"),
        ("train: images\nnames: [cat, dog]\nnc: 3", SourceFormatError, "'nc' is 3, but 'names' has 2"),
        ("train: images\nnames: [cat, dog]\nnc: two", SourceFormatError, "'nc' is 'two'"),
        ("train: images\nnames: [yes, no]", SourceFormatError, "YAML takes a class name for True"),
        ("train: images\nnames: {0: ~}", SourceFormatError, "for None"),
        ("train: images\nnames: [cat, cat]", SourceFormatError, "occurs twice"),
        ("train: images\nnames: cat, dog", SourceFormatError, "must be a list"),
        ("train: images\nnames: []", SourceFormatError, "names no class"),
        ("train: images", SourceFormatError, "what its classes are called"),
        ("names: [cat, dog]", SourceFormatError, "names no images"),
        ("nothing: here", SourceFormatError, "neither 'names' nor a split"),
        ("train: 3\nnames: [cat, dog]", SourceFormatError, "'train' is 3"),
        ("path: 3\ntrain: images\nnames: [cat, dog]", SourceFormatError, "'path' is 3"),
        ("train: images\nnames: [cat]\nkpt_shape: 17", SourceFormatError, "'kpt_shape' is 17"),
        ("train: imagse\nnames: [cat, dog]\ndownload: x", SourceNotFoundError, "never run"),
        ("train: a.bin\nnames: [cat, dog]", SourceFormatError, "not UTF-8"),
        ("train: empty\nnames: [cat, dog]", AnnotationError, "has no images"),
        ("train: images\nval: bare\nnames: [cat, dog]", ConfigError, "several splits"),
        ("val: images\nnames: [cat, dog]", SourceNotFoundError, "no split 'train'"),
        ("train: bare\nnames: [cat, dog]", SourceNotFoundError, "Not one of the 1 images has a label"),
    ],
)
def test_wrong_files_are_one_clear_error(make_set, tmp_path, make_image, yaml, error, told):
    root = make_set({"a.jpg": "1 .5 .5 .5 .5"}, yaml)
    (root / "empty").mkdir()
    (root / "bare").mkdir()
    (root / "bare/a.jpg").write_bytes(make_image())
    (root / "a.bin").write_bytes(b"\xff\xfe\xfa")
    split = "train" if "no split" in told else None
    with pytest.raises(error, match=told):
        take(root, tmp_path / "lake", split=split)
    assert not os.path.lexists(tmp_path / "lake")


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(SourceNotFoundError, match="no such YOLO data"):
        take(tmp_path / "none.yaml", tmp_path / "lake")


def test_the_same_from_the_command_line(make_set, tmp_path, capsys):
    from deeplake_mmdet.cli import main

    root = make_set({"a.jpg": "1 .5 .5 .5 .5", "b.jpg": "0 .5 .5 .5 .5"})
    assert main(["import", "yolo", str(root / "data.yaml"), str(tmp_path / "lake"), "--split", "train"]) == 0
    assert "Imported 2 images with 2 boxes" in capsys.readouterr().out.replace("\n", " ")


def test_both_ways_to_the_same_polygon(make_coco, make_set, tmp_path):
    points = [3.0, 4.0, 20.0, 4.0, 11.0, 19.0]

    def change(data):
        for one in data["annotations"]:
            one |= {"segmentation": [points], "bbox": [3, 4, 17, 15]}

    json_file, images = make_coco(1, change)
    import_coco(json_file, tmp_path / "coco", images=images, progress=False)
    text = "1 " + " ".join(repr(v / (HEIGHT if k % 2 else WIDTH)) for k, v in enumerate(points))
    _, ours = take(make_set({"0.jpg": text}), tmp_path / "yolo")
    theirs = deeplake.open_read_only(str(tmp_path / "coco"))
    np.testing.assert_allclose(xywh(ours, 0), xywh(theirs, 0))
    np.testing.assert_allclose(json.loads(ours["segmentations"][0]), json.loads(theirs["segmentations"][0]))
