import pytest

from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError
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


def test_same_boxes_as_the_stock_data_set(shared_data):
    pytest.importorskip("mmdet")
    from mmdet.datasets import XMLDataset

    bccd = shared_data / "bccd"
    ours = load_voc(bccd, "val")
    stock = XMLDataset(
        data_root=str(bccd),
        ann_file="ImageSets/Main/val.txt",
        data_prefix={"sub_data_root": ""},
        metainfo={"classes": ours.class_names},
        test_mode=True,
    )
    for image, info in zip(ours.images(), stock, strict=True):
        assert [list(entry.box) for entry in image.objects] == [i["bbox"] for i in info["instances"]]
        assert [entry.difficult for entry in image.objects] == [i["ignore_flag"] for i in info["instances"]]


@pytest.mark.parametrize(
    ("objects", "fault"),
    [
        ("<object><name>cat</name></object>", "box is missing"),
        (thing(box=("nan", 1, 2, 3)), "box is not four finite numbers"),
        (thing(box=("inf", 1, 2, 3)), "box is not four finite numbers"),
        (thing(box=("", 1, 2, 3)), "box is not four finite numbers"),
        (thing(name=""), "object without a class name"),
        (thing(box=("1,024", 1, 2, 3)), "box is not four finite numbers"),
        (thing(box=(1, 2, 3, 4)).replace("xmax", "xmost"), "box lacks corners"),
        (thing().replace("bndbox", "robndbox"), "object has a <robndbox> and no <bndbox>"),
        (
            "<object><name>cat</name><polygon><x1>1</x1></polygon></object>",
            "object has a <polygon> and no <bndbox>",
        ),
        (f"<objects>{thing()}</objects>", "object is not an <object> right below <annotation>"),
        (thing().replace("object", "Object"), "object is not an <object> right below <annotation>"),
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
    (root / "Annotations/a.xml").write_text("")
    assert "empty" in read_voc_xml(root, "a").fault
    (root / "Annotations/a.xml").write_text("<annotation/><annotation/>")
    assert "follows the end" in read_voc_xml(root, "a").fault
    (root / "Annotations/a.xml").write_text("<annotations><image/></annotations>")
    assert "not Pascal VOC" in read_voc_xml(root, "a").fault
    (root / "Annotations/a.xml").write_text("<all><annotation/><annotation/></all>")
    assert "2 <annotation>" in read_voc_xml(root, "a").fault
    assert "missing" in read_voc_xml(root, "a\0b").fault
    assert "read" in read_voc_xml(root, "a" * 5000).fault


@pytest.mark.parametrize(
    ("size", "read", "changes"),
    [
        ("<size><width>64.0</width><height> 48\n</height></size>", (64, 48), 0),
        ("<size><width>0</width><height>0</height></size>", None, 0),
        ("<size><width>0</width><height>48</height></size>", None, 0),
        ("<size><width/><height/></size>", None, 0),
        ("<size/>", None, 0),
        ("<size><width>wide</width></size>", None, 1),
        ("<size><width>-4</width><height>4</height></size>", None, 1),
        ("<size><width>nan</width><height>4</height></size>", None, 1),
        ("<size><width>1e999</width><height>4</height></size>", None, 1),
        ("<size><width>4.5</width><height>4</height></size>", None, 1),
    ],
)
def test_sizes(root, size, read, changes):
    put(root, "a", thing(), size=size)
    image = read_voc_xml(root, "a")
    assert (image.size, len(image.changes), len(image.objects), image.fault) == (read, changes, 1, None)


@pytest.mark.parametrize(
    ("text", "value", "changes"),
    [
        *[(text, 0, 0) for text in ("", " \n", "0", " 0 ", "0.0", "False", "no")],
        *[(text, 1, 0) for text in ("1", " 1 ", "1.0", "True", "yes", "-1", "2")],
        *[(text, 0, 1) for text in ("Unspecified", "often", "nan", "0.5", "inf", "1e999")],
    ],
)
def test_difficult_in_other_words(root, text, value, changes):
    put(root, "a", thing(extra=f"<difficult>{text}</difficult>"))
    entry = read_voc_xml(root, "a").objects[0]
    assert (entry.difficult, len(entry.changes), entry.fault) == (value, changes, None)


def test_decimal_commas_are_read_and_told(root):
    put(root, "a", thing(box=("6,5", 7, "26,25", 22)))
    entry = read_voc_xml(root, "a").objects[0]
    assert (entry.box, entry.fault) == ((5, 6, 25, 21), None)
    assert entry.changes == (("box has decimal commas, read as points", "6,5 7 26,25 22"),)


def test_the_first_of_several_boxes_is_taken_and_told(root):
    put(root, "a", thing().replace("</object>", BOX.format(3, 3, 9, 9) + "</object>"))
    entry = read_voc_xml(root, "a").objects[0]
    assert (entry.box, entry.changes[0][1]) == ((0, 1, 29, 39), "2 boxes")


def test_names_are_stripped_and_namespaces_taken_off(root):
    put(root, "a", thing(name="\n\t cat \n"))
    entry = read_voc_xml(root, "a").objects[0]
    assert (entry.name, entry.stated_name) == ("cat", "\n\t cat \n")
    text = (root / "Annotations/a.xml").read_text()
    for opening in (
        '<annotation xmlns="http://x.org/a">',
        '<v:annotation xmlns:v="u" xmlns="http://x.org/a">',
    ):
        closing = "</v:annotation>" if ":annotation" in opening else "</annotation>"
        inside = text.removeprefix("<annotation>").removesuffix("</annotation>")
        (root / "Annotations/a.xml").write_text(opening + inside + closing)
        image = read_voc_xml(root, "a")
        assert (image.size, image.objects[0].name, image.objects[0].box) == ((50, 60), "cat", (0, 1, 29, 39))
    assert load_voc(root, "train").class_names == ("ant", "bee", "cat")


def test_parts_are_not_objects(root):
    part = thing("head", (1, 1, 5, 5)).replace("object", "part")
    put(root, "a", f"<object>{part}<name>cat</name>{BOX.format(6, 7, 26, 22)}</object>")
    assert [(o.name, o.box) for o in read_voc_xml(root, "a").objects] == [("cat", (5, 6, 25, 21))]


def test_a_wrapper_is_looked_through(root):
    text = (root / "Annotations/a.xml").read_text()
    (root / "Annotations/a.xml").write_text(f"<annotations>{text}</annotations>")
    image = read_voc_xml(root, "a")
    assert [o.name for o in image.objects] == ["cat", "dog"]
    assert image.changes == (("<annotation> stands inside another element", "<annotations>"),)


def test_lists_with_flags(root):
    (root / "ImageSets/Main/cat_train.txt").write_text("a  1\nb -1\nc  0\n")
    voc = load_voc(root, "cat_train")
    assert voc.ids == ("a", "b", "c")
    assert "1 with -1, 1 with 0, 1 with 1" in voc.notes[0]
    put(root, "photo 1", thing())
    (root / "ImageSets/Main/cat_train.txt").write_text("photo 1\na 1\nmissing 1\n")
    assert load_voc(root, "cat_train").ids == ("photo 1", "a", "missing 1")


def test_lists_of_file_names_and_in_utf_16(root):
    (root / "ImageSets/Main/train.txt").write_bytes("a.jpg\r\nb.PNG\r\n".encode("utf-16"))
    voc = load_voc(root, "train.txt")
    assert voc.ids == ("a", "b")
    assert "2 lines" in voc.notes[0]


def test_an_image_named_twice_is_taken_once(root):
    (root / "ImageSets/Main/train.txt").write_text("a\nb\na\na\n")
    voc = load_voc(root, "train")
    assert (voc.ids, voc.repeated) == (("a", "b"), ("a", "a"))


def test_folders_without_lists(root):
    with pytest.raises(ConfigError, match="which split"):
        load_voc(root)
    for path in (root / "ImageSets").rglob("*.txt"):
        path.unlink()
    with pytest.raises(SourceNotFoundError, match="leave the split out"):
        load_voc(root, "train")
    (root / "Annotations/sub").mkdir()
    put(root, "sub/d", thing("eel"))
    (root / "Annotations/b.xml").rename(root / "Annotations/b.XML")
    voc = load_voc(root)
    assert voc.ids == ("a", "b", "c", "sub/d")
    assert voc.class_names == ("ant", "bee", "cat", "dog", "eel")
    assert [image.fault for image in voc.images()] == [None] * 4


def test_other_layouts(root, tmp_path_factory):
    (root / "Annotations").rename(root / "annotations")
    (root / "JPEGImages").rename(root / "images")
    voc = load_voc(root, "train")
    assert (voc.annotations, voc.image_folder) == (root / "annotations", root / "images")
    assert "annotations" in voc.notes[0]
    flat = tmp_path_factory.mktemp("flat")
    (root / "annotations/a.xml").rename(flat / "a.xml")
    assert (load_voc(flat).ids, load_voc(flat).image_folder) == (("a",), flat)
    (flat / "a.xml").unlink()
    (flat / "inner/Annotations").mkdir(parents=True)
    with pytest.raises(SourceFormatError, match="no XML file"):
        load_voc(flat)
    for name in ("inner", "other"):
        (flat / name / "ImageSets").mkdir(parents=True)
    (flat / "other/Annotations").mkdir()
    with pytest.raises(SourceNotFoundError, match="there is one in inner, other"):
        load_voc(flat)


def test_class_lists(root):
    with pytest.raises(ConfigError, match=r"'Cat' \(did you mean 'cat'\?\)"):
        load_voc(root, "train", ["Cat", "zebra"])
    with pytest.raises(ConfigError, match=r"'Bee' \(did you mean 'bee'\?\)"):
        load_voc(root, "train", ["cat", "Bee", "dog"])
    voc = load_voc(
        root, "train", ["cat", "bat", "zebra", "bee", "dog"]
    )  # may be rare, and be in other folders
    assert voc.notes == ("No annotation file has the class 'bat'", "No annotation file has the class 'zebra'")
    for wrong in ("cat", ["cat", 1], [" "], []):
        with pytest.raises(ConfigError):
            load_voc(root, "train", wrong)
    for name in "abc":
        put(root, name, "")
    assert load_voc(root, "train", ["cat"]).class_names == ("cat",)  # nothing to compare with


def test_unsound_folders_are_refused(root):
    with pytest.raises(SourceNotFoundError, match="train"):
        load_voc(root, "test")
    with pytest.raises(SourceNotFoundError, match="Annotations"):
        load_voc(root / "none", "train")
    with pytest.raises(ConfigError):
        load_voc(root, "train", ["cat", "cat"])
    (root / "ImageSets/Main/train.txt").write_text("\n")
    with pytest.raises(SourceFormatError, match="no image"):
        load_voc(root, "train")
