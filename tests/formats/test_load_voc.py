import pytest

from deeplake_mmdet.errors import AnnotationError, ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats import load_voc, read_voc_xml

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def thing(name="cat", box=(1, 2, 30, 40), extra=""):
    return f"<object><name>{name}</name>{extra}{BOX.format(*box)}</object>"


@pytest.fixture
def root(tmp_path):
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\n\nb\n")
    (tmp_path / "ImageSets/other.txt").write_text("b\n")
    put(tmp_path, "a", thing() + thing("dog", extra="<difficult>1</difficult><pose>Left</pose>"))
    put(tmp_path, "b", thing("ant"))
    put(tmp_path, "c", thing("bee"))
    return tmp_path


def put(root, image_id, objects, size="<size><width>50</width><height>60</height></size>"):
    text = f"<annotation>{size}{objects}</annotation>"
    (root / f"Annotations/{image_id}.xml").write_text(text)


def test_classes_come_from_the_whole_folder(root):
    train, other = load_voc(root, "train"), load_voc(root, "other")
    assert train.class_names == other.class_names == ("ant", "bee", "cat", "dog")
    assert train.ids == ("a", "b")
    assert load_voc(root, "train", ["dog", "cat"]).class_names == ("dog", "cat")


def test_corners_difficult_and_size(root):
    image = next(load_voc(root, "train").images())
    assert image.size == (50, 60)
    assert [entry.box for entry in image.objects] == [(0, 1, 29, 39)] * 2
    assert [entry.difficult for entry in image.objects] == [0, 1]
    assert image.unread == {"object/pose"}


def test_fractions_are_cut_as_in_the_stock_data_set(root):
    put(root, "a", thing(box=("1.9", "-0.5", "30.99", "1e1")))
    assert read_voc_xml(root, "a").objects[0].box == (0, -1, 29, 9)


def test_same_boxes_as_the_stock_data_set(shared_bccd):
    pytest.importorskip("mmdet")
    from mmdet.datasets import XMLDataset

    ours = load_voc(shared_bccd, "val")
    stock = XMLDataset(
        data_root=str(shared_bccd),
        ann_file="ImageSets/Main/val.txt",
        data_prefix={"sub_data_root": ""},
        metainfo={"classes": ours.class_names},
        test_mode=True,
    )
    for image, info in zip(ours.images(), stock, strict=True):
        assert [list(entry.box) for entry in image.objects] == [i["bbox"] for i in info["instances"]]
        assert [entry.difficult for entry in image.objects] == [i["ignore_flag"] for i in info["instances"]]


@pytest.fixture
def shared_bccd(request):
    folder = request.config.rootpath.parent / "shared/data/bccd"
    if not folder.is_dir():
        pytest.skip(f"no data set at {folder}")
    return folder


@pytest.mark.parametrize(
    ("objects", "fault"),
    [
        ("<object><name>cat</name></object>", "box is missing"),
        (thing(box=("nan", 1, 2, 3)), "box is not four finite numbers"),
        (thing(box=("inf", 1, 2, 3)), "box is not four finite numbers"),
        (thing(box=("", 1, 2, 3)), "box is not four finite numbers"),
        (thing(name=""), "object without a class name"),
        (thing(extra="<difficult>often</difficult>"), "'difficult' is not a whole number"),
    ],
)
def test_faulty_objects_say_why(root, objects, fault):
    put(root, "a", objects)
    assert read_voc_xml(root, "a").objects[0].fault == fault


def test_faulty_files_say_why(root):
    assert "missing" in read_voc_xml(root, "none").fault
    (root / "Annotations/a.xml").write_text("<annotation>")
    assert "not XML" in read_voc_xml(root, "a").fault
    assert load_voc(root, "train").unreadable == 1
    put(root, "a", "", size="<size><width>wide</width></size>")
    assert "'size'" in read_voc_xml(root, "a").fault
    put(root, "a", "", size="<size><width>0</width><height>0</height></size>")
    assert read_voc_xml(root, "a").size is None


def test_image_by_id_then_file_name_then_extension(root):
    def found(objects=""):
        put(root, "a", objects)
        return read_voc_xml(root, "a").image_path.name

    assert found() == "a.jpg"
    (root / "JPEGImages/a.png").touch()
    assert found() == "a.png"
    (root / "JPEGImages/x.jpg").touch()
    assert found("<filename>C:\\data\\x.jpg</filename>") == "x.jpg"
    (root / "JPEGImages/a.jpg").touch()
    assert found("<filename>x.jpg</filename>") == "a.jpg"


def test_unsound_folders_are_refused(root):
    with pytest.raises(SourceNotFoundError, match="train"):
        load_voc(root, "test")
    with pytest.raises(SourceNotFoundError, match="Annotations"):
        load_voc(root / "none", "train")
    with pytest.raises(ConfigError):
        load_voc(root, "train", ["cat", "cat"])
    (root / "ImageSets/Main/train.txt").write_text("a\na\n")
    with pytest.raises(AnnotationError, match="twice"):
        load_voc(root, "train")
    (root / "ImageSets/Main/train.txt").write_text("\n")
    with pytest.raises(SourceFormatError, match="no image"):
        load_voc(root, "train")
