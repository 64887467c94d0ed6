"""Exports as Pascal VOC and YOLO, read back by others."""

import json
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as coco_mask

from deeplake_mmdet import DeepLakeDataset, export_voc, export_yolo, import_coco, import_voc

WIDTH, HEIGHT = 32, 24


@pytest.fixture
def lake(make_coco, tmp_path):
    """A lake of three images whose objects have no masks; one object is a crowd, one lies half outside."""

    def change(data):
        for annotation, box in zip(
            data["annotations"], ([1, 2, 10, 8], [3, 4, 5, 6], [28, 20, 10, 10]), strict=True
        ):
            annotation["bbox"] = box
        data["annotations"][1]["iscrowd"] = 1
        data["categories"][0]["name"] = 'ä: "#\u2028'

    path, images = make_coco(3, change)
    import_coco(path, tmp_path / "lake", images=images, progress=False)
    return tmp_path / "lake"


def test_stock_voc_reads_the_boxes_of_the_lake(lake, tmp_path):
    from mmdet.datasets import VOCDataset

    summary = export_voc(lake, tmp_path / "VOC2012", progress=False)
    assert summary.changes.counts == {("box", "crowd is written as difficult"): 1}
    stock = VOCDataset(
        data_root=str(tmp_path / "VOC2012"),
        ann_file="ImageSets/Main/trainval.txt",
        data_prefix={"sub_data_root": ""},
        metainfo={"classes": ('ä: "#\u2028', "b")},
        pipeline=[],
        test_mode=True,
        serialize_data=False,
    )
    ours = DeepLakeDataset(path=str(lake), pipeline=[], test_mode=True)
    for one, other in zip(stock, ours, strict=True):
        assert (one["width"], one["height"]) == (other["width"], other["height"])
        for mine, theirs in zip(other["instances"], one["instances"], strict=True):
            assert theirs["bbox"] == mine["bbox"]
            assert theirs["bbox_label"] == mine["bbox_label"]
            assert theirs["ignore_flag"] == mine["ignore_flag"]


def test_voc_comes_back_as_it_was(tmp_path, make_image):
    root = tmp_path / "voc"
    for folder in ("Annotations", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for name in ("a b", "[ü]"):
        (root / "JPEGImages" / f"{name}.jpg").write_bytes(make_image())
        rest = "<pose>Left</pose><part><name>ear</name></part><part><name>a &amp; b</name></part>"
        box = rest + "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
        (root / "Annotations" / f"{name}.xml").write_text(
            "<annotation><source><database>ü</database></source><owner/>"
            f"<object><name>cat</name><difficult>1</difficult>{box}</object></annotation>"
        )
    import_voc(root, tmp_path / "one", progress=False)
    export_voc(tmp_path / "one", tmp_path / "out", progress=False)
    import_voc(tmp_path / "out", tmp_path / "two", split="trainval", progress=False)
    assert instances(tmp_path / "one") == instances(tmp_path / "two")
    for name in ("a b", "[ü]"):
        before, after = (
            ElementTree.parse(path / f"Annotations/{name}.xml") for path in (root, tmp_path / "out")
        )
        assert plain(before.getroot()) == [one for one in plain(after.getroot()) if one[0] not in WRITTEN]
        assert (tmp_path / "out/JPEGImages" / f"{name}.jpg").read_bytes() == make_image()


WRITTEN = ("filename", "size")


def plain(node):
    """An element's children, sorted: name, text and children of each."""
    return sorted((child.tag, (child.text or "").strip(), plain(child)) for child in node)


def labels(folder):
    texts = [file.read_text() for file in sorted((folder / "labels").rglob("*.txt"))]
    lines = [line.split() for text in texts for line in text.splitlines()]
    return [(int(line[0]), np.array(line[1:], float)) for line in lines]


def below(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def instances(lake):
    infos = DeepLakeDataset(path=str(lake), pipeline=[])
    return {info["img_path"].rpartition("/")[2]: info["instances"] for info in infos}


def test_yolo_has_boxes_as_parts_of_the_image(lake, tmp_path):
    summary = export_yolo(lake, tmp_path / "out", progress=False)
    read = yaml.safe_load((tmp_path / "out/data.yaml").read_text("utf-8"))
    assert read == {"train": "images", "val": "images", "names": {0: 'ä: "#\u2028', 1: "b"}}
    (first, one), (second, other) = labels(tmp_path / "out")
    assert (first, second) == (1, 1)
    assert one * [WIDTH, HEIGHT, WIDTH, HEIGHT] == pytest.approx([6, 6, 10, 8], abs=1e-6)
    assert other * [WIDTH, HEIGHT, WIDTH, HEIGHT] == pytest.approx([30, 22, 4, 4], abs=1e-6)  # cut off
    assert (tmp_path / "out/labels/1.txt").read_text() == ""
    assert summary.left_out.counts == {("box", "a crowd, which YOLO cannot say"): 1}
    assert summary.changes.counts == {("box", "box is cut off at the image's edges"): 1}


def rle(pixels):
    found = coco_mask.encode(np.asfortranarray(pixels))
    return {"size": [HEIGHT, WIDTH], "counts": found["counts"].decode()}


def test_yolo_masks_cover_the_pixels_of_the_lakes(make_coco, tmp_path):
    holed = np.zeros((HEIGHT, WIDTH), np.uint8)
    holed[3:9, 4:20] = holed[12:20, 22:30] = 1
    filled = holed.copy()
    holed[5:7, 8:12] = 0
    two = [[2, 2, 10, 2, 10, 10, 2, 10], [20, 12, 30, 12, 30, 20, 20, 20]]

    def change(data):
        for annotation, mask in zip(data["annotations"], (rle(holed), two, None), strict=True):
            annotation["segmentation"] = mask

    path, images = make_coco(3, change)
    import_coco(path, tmp_path / "lake", images=images, progress=False)
    summary = export_yolo(tmp_path / "lake", tmp_path / "out", progress=False)
    assert summary.masks == 2
    assert summary.changes.counts == {
        ("mask", "holes of a mask are filled"): 1,
        ("mask", "parts of a mask are joined to one polygon"): 2,
        ("box", "object without a mask has its box's corners"): 1,
    }
    polygons = [points.reshape(-1, 2) * [WIDTH, HEIGHT] for _, points in labels(tmp_path / "out")]
    expected = [filled, np.zeros_like(filled)]
    for part in two:
        cv2.fillPoly(expected[1], [np.array(part, np.int32).reshape(-1, 2)], 1)
    for points, pixels in zip(polygons, expected, strict=False):
        drawn = np.zeros_like(pixels)
        cv2.fillPoly(drawn, [points.round().astype(np.int32)], 1)
        extra = drawn.astype(int) - pixels
        assert extra.min() == 0  # nothing is missing; what is more is the bridge's line
        assert extra.sum() <= 20
    assert polygons[2] == pytest.approx(np.array([[1, 2], [4.5, 2], [4.5, 6], [1, 6]]), abs=1e-6)


def test_names_that_would_meet_are_told_apart(make_coco, make_image, tmp_path):
    names = ["images/a.jpg", "a.jpg", "x/labels/a.jpg", "a.jpeg"]

    def change(data):
        for image, name in zip(data["images"], names, strict=True):
            image["file_name"] = name

    path, folder = make_coco(4, change)
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(make_image(seed=seed))
    import_coco(path, tmp_path / "lake", images=folder, progress=False)
    summary = export_yolo(tmp_path / "lake", tmp_path / "out", progress=False)
    found = below(tmp_path / "out/images")
    assert found == {"a.jpg", "a_1.jpg", "x/labels_/a.jpg", "a_3.jpeg"}
    assert below(tmp_path / "out/labels") == {f"{name.rpartition('.')[0]}.txt" for name in found}
    assert summary.changes.counts == {("image", "file has another name"): 4}
    assert json.dumps(summary.facts())
