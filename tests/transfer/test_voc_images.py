import deeplake
import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.transfer import import_voc

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
BY_FILENAME = "image file found by <filename>, not by the name of the XML"


@pytest.fixture
def make(tmp_path):
    """Write a VOC folder: id to ``<filename>``, and image files, each of a grey of its own."""

    def write(stated, files, split=None):
        root = tmp_path / "voc"
        for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
            (root / name).mkdir(parents=True)
        for image_id, file_name in stated.items():
            (root / f"Annotations/{image_id}.xml").write_text(
                f"<annotation><filename>{file_name}</filename><object><name>cat</name>{BOX}</object></annotation>"
            )
        for position, name in enumerate(files, 1):
            grey = np.full((24, 32, 3), 20 * position, np.uint8)
            Image.fromarray(grey).save(root / "JPEGImages" / name)
        (root / "ImageSets/Main/train.txt").write_text("\n".join(split or stated))
        return root

    return write


def run(root, split="train"):
    lake = root.parent / "lake"
    summary = import_voc(root, lake, split=split, progress=False, overwrite=True)
    ds = deeplake.open_read_only(str(lake))
    return summary, [ds["file_name"][row] for row in range(len(ds))], ds


def test_stale_file_names_are_not_followed(make):
    files = ["1.png", "2.png", "3.png"]
    summary, names, ds = run(make({"1": "2.png", "2": "3.png", "3": "1.png"}, files))
    assert names == files
    assert [int(ds["images"][row].mean()) for row in range(3)] == [20, 40, 60]
    assert (summary.refused, summary.changes.kept) == ([], [])


@pytest.mark.parametrize("name", ["a.JPG", "a.Jpg", "a.jpeg", "a.JPEG", "a.jfif"])
def test_any_extension_in_any_case(make, name):
    summary, names, _ = run(make({"a": "a.jpg"}, [name]))
    assert (names, summary.changes.kept) == ([name], [])


def test_the_stated_name_helps_where_there_is_no_other(make):
    summary, names, _ = run(make({"a": "C:\\x\\Photo 1.JPG"}, ["photo 1.jpg"]))
    assert names == ["photo 1.jpg"]
    assert [(c.kind, c.reason, c.detail) for c in summary.changes.kept] == [
        ("image", BY_FILENAME, "'photo 1.jpg'")
    ]


def test_an_id_in_another_case_is_told(make):
    summary, names, _ = run(make({"IMG_1": "x.jpg"}, ["img_1.jpg"]))
    assert names == ["img_1.jpg"]
    assert summary.changes.counts == {("image", "image file found under another name"): 1}


def test_stock_reads_the_jpg_of_several_images(make):
    summary, names, _ = run(make({"a": "a.png"}, ["a.jpeg", "a.jpg", "a.JPG"]))
    assert names == ["a.jpg"]
    assert summary.changes.kept[0].detail == "'a.jpg' taken, not 'a.JPG', 'a.jpeg'"


@pytest.mark.parametrize("split", [None, ["a"]])
def test_an_image_belongs_to_the_annotations_of_its_name(make, split):
    root = make({"a": "b.jpg", "b": "b.jpg", "c": "c.jpg"}, ["b.jpg", "c.jpg"], [*(split or "ab"), "c"])
    summary, names, _ = run(root)
    assert names == (["c.jpg"] if split else ["b.jpg", "c.jpg"])
    [finding] = summary.refused
    assert finding.reason == "image file belongs to another annotation file"
    assert finding.detail == "'a' would use 'b.jpg'"
    assert summary.lost_with_images == 1


def test_an_image_that_two_would_use_is_refused_to_both(make):
    summary, names, _ = run(make({"a": "x.jpg", "b": "x.jpg", "c": ""}, ["x.jpg", "c.jpg"]))
    assert names == ["c.jpg"]
    assert {(f.reason, f.detail) for f in summary.refused} == {
        ("several records would use the same image file", "'a' would use 'x.jpg'"),
        ("several records would use the same image file", "'b' would use 'x.jpg'"),
    }


def test_missing_images_are_told_with_the_nearest_name(make):
    summary, _, _ = run(make({"img_01": "q.jpg", "c": ""}, ["img-01x.jpg", "c.jpg"]))
    [finding] = summary.refused
    assert (finding.reason, finding.detail) == ("image file is missing", "nearest name there: 'img-01x.jpg'")
    assert finding.file.endswith("img_01.jpg")


def test_ids_that_are_repeated_are_refused_by_name(make):
    summary, names, _ = run(make({"a": "", "b": ""}, ["a.jpg", "b.jpg"], ["a", "b", "a"]))
    assert names == ["a.jpg", "b.jpg"]
    assert [(f.reason, f.detail) for f in summary.refused] == [
        ("image is named once more in the split", "'a'")
    ]


def test_xml_files_in_another_case_are_told(make):
    root = make({"a": ""}, ["A.jpg"], ["A"])
    summary, names, _ = run(root)
    assert names == ["A.jpg"]
    assert summary.changes.kept[0].reason == "annotation file found under another name"
    (root / "ImageSets/Main/train.txt").write_text("a\nA\n")
    (root / "JPEGImages/A.jpg").rename(root / "JPEGImages/a.jpg")
    summary, names, _ = run(root)
    assert (names, summary.refused_images) == (["a.jpg"], 1)


def test_images_beside_their_xml_files(make):
    root = make({"a": "", "b": ""}, ["a.jpg", "b.jpg"])
    for image_id in "ab":
        (root / f"Annotations/{image_id}.xml").rename(root / f"JPEGImages/{image_id}.xml")
    lake = root / "lake"
    summary = import_voc(root / "JPEGImages", lake, progress=False)
    assert (summary.images, summary.boxes) == (2, 2)
    assert any("all 2 annotation files" in note for note in summary.notes)
