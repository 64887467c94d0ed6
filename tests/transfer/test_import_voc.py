import deeplake
import pytest

from deeplake_mmdet.errors import ImportRefusedError
from deeplake_mmdet.formats import load_voc
from deeplake_mmdet.transfer import import_voc


def test_bccd_comes_back_but_for_its_two_boxes_without_area(shared_data, tmp_path):
    root = shared_data / "bccd"
    images = boxes = 0
    refused = []
    for split in ("trainval", "test"):
        summary = import_voc(root, tmp_path / split, split=split, progress=False)
        images += summary.images
        boxes += summary.boxes
        refused += summary.refused
        ds = deeplake.open_read_only(str(tmp_path / split))
        assert list(ds["labels"].metadata["class_names"]) == ["Platelets", "RBC", "WBC"]
        for row, image in enumerate(load_voc(root, split).images()):
            good = [o for o in image.objects if o.box[2] > o.box[0] and o.box[3] > o.box[1]]
            assert ds["boxes"][row].tolist() == [list(map(float, o.box)) for o in good]
            assert ds["difficults"][row].tolist() == [o.difficult for o in good]
            assert ds["images"].get_bytes(row) == image.image_path.read_bytes()
    assert (images, boxes) == (364, 4886)
    assert sorted(r.file.rpartition("/")[2] for r in refused) == [
        "BloodImage_00338.xml",
        "BloodImage_00343.xml",
    ]
    assert {r.reason for r in refused} == {"box has no area (width or height is zero or negative)"}


@pytest.fixture
def root(tmp_path, make_image):
    base = tmp_path / "voc"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (base / folder).mkdir(parents=True)
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    cat = f"<object><name>cat</name><difficult>1</difficult>{box}</object>"
    dog = f"<object><name>dog</name>{box}</object>"
    size = "<size><width>32</width><height>24</height></size>"
    texts = {
        "a": size + cat + dog,
        "b": cat,  # no size stated
        "broken": size + "<object>",
        "wide": size.replace("32", "99") + cat,
        "cut": size + cat,
    }
    for name, text in texts.items():
        (base / f"Annotations/{name}.xml").write_text(f"<annotation>{text}</annotation>")
        data = make_image()
        (base / f"JPEGImages/{name}.jpg").write_bytes(data[:200] if name == "cut" else data)
    (base / "ImageSets/Main/train.txt").write_text("\n".join([*texts, "none"]))
    return base


def test_refusals_are_named_with_reason(root, tmp_path):
    summary = import_voc(root, tmp_path / "lake", split="train", progress=False)
    assert (summary.images, summary.boxes) == (2, 3)
    assert summary.class_counts == {"cat": 2, "dog": 1}
    assert {(r.file.rpartition("/")[2], r.reason) for r in summary.refused} == {
        ("broken.xml", "annotation file cannot be read"),
        ("none.xml", "annotation file is missing"),
        ("wide.jpg", "size differs from the annotation"),
        ("cut.jpg", "image cannot be decoded"),
    }
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert ds["boxes"][0].tolist() == [[0, 1, 29, 19]] * 2
    assert ds["difficults"][0].tolist() == [1, 0]
    assert ds["file_name"][1] == "b.jpg"
    with pytest.raises(ImportRefusedError):
        import_voc(root, tmp_path / "lake", split="train", progress=False)


def test_boxes_outside_the_class_list_are_refused(root, tmp_path):
    summary = import_voc(root, tmp_path / "lake", split="train", classes=["dog"], progress=False)
    assert (summary.boxes, summary.empty_images, summary.emptied_images) == (1, 1, 1)
    assert summary.refusals.counts["box", "class is not in the class list"] == 2
    assert "1 of these images have no boxes (1 because every box was refused)" in str(summary)


def test_names_are_compared_as_they_stand_then_stripped(root, tmp_path):
    for name, stated in (("a", " cat "), ("b", "\n cat")):
        path = root / f"Annotations/{name}.xml"
        path.write_text(path.read_text().replace(">cat<", f">{stated}<"))
    summary = import_voc(root, tmp_path / "lake", split="train", classes=["cat", " cat "], progress=False)
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert (ds["labels"][0].tolist(), ds["labels"][1].tolist()) == ([1], [0])  # XMLDataset: [1], none
    assert summary.changes.counts == {("box", "class name has spaces or line breaks around it"): 1}


def test_corners_the_wrong_way_round_are_refused_as_such(root, tmp_path):
    path = root / "Annotations/b.xml"
    path.write_text(path.read_text().replace("<xmax>30", "<xmax>0"))
    summary = import_voc(root, tmp_path / "lake", split="train", progress=False)
    [finding] = [f for f in summary.refused if f.kind == "box"]
    assert finding.reason == "box has its corners the wrong way round (xmin > xmax or ymin > ymax)"
    assert finding.detail == "object 1, 'cat', corners 1 2 0 20"
