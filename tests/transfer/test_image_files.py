import os
import unicodedata

import pytest

from deeplake_mmdet.transfer.image_files import ImageFolder, NamedImages

OTHER = "image file found under another name"


@pytest.fixture
def folder(tmp_path):
    base = tmp_path / "data" / "images"
    names = ("a.jpg", "b (1) é.jpg", "c.JPG", "sub/d.jpeg", "e.png", "x%20y.jpg", "a..b.jpg", "deep/er/f.jpg")
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    (tmp_path / "outside.jpg").write_text("outside")
    return base


@pytest.mark.parametrize("name", ["a.jpg", "sub/d.jpeg", "./a.jpg", "sub//d.jpeg", "x%20y.jpg", "a..b.jpg"])
def test_a_name_that_leads_to_a_file_is_kept(folder, name):
    found = ImageFolder(folder).by_name(name)
    assert (found.path.is_file(), found.name, found.rank, found.changes) == (True, name, 0, ())


@pytest.mark.parametrize(
    ("stated", "file"),
    [
        ("sub\\d.jpeg", "sub/d.jpeg"),
        (".\\a.jpg", "a.jpg"),
        (" a.jpg\n", "a.jpg"),
        ("/a.jpg", "a.jpg"),
        ("/sub/d.jpeg", "sub/d.jpeg"),
        ("..\\images\\a.jpg", "a.jpg"),
        ("../images/sub/d.jpeg", "sub/d.jpeg"),
        ("../../elsewhere/sub/d.jpeg", None),
        ("b%20%281%29%20%C3%A9.jpg", "b (1) é.jpg"),
        ("sub%5Cd.jpeg", "sub/d.jpeg"),
        ("sub%2Fd.jpeg", "sub/d.jpeg"),
        ("x y.jpg", "x%20y.jpg"),
        (unicodedata.normalize("NFD", "b (1) é.jpg"), "b (1) é.jpg"),
        ("A.JPG", "a.jpg"),
        ("c.jpg", "c.JPG"),
        ("SUB/D.JPEG", "sub/d.jpeg"),
        ("sub/d.jpg", "sub/d.jpeg"),
        ("e.jpg", None),  # another format may be another image
        ("e", "e.png"),
        ("images/a.jpg", "a.jpg"),
        ("data/images/sub/d.jpeg", "sub/d.jpeg"),
        ("IMAGES\\C.jpg", "c.JPG"),
        ("photos/a.jpg", None),  # nothing says that the folder photos is this one
        ("C:\\Users\\x\\a.jpg", "a.jpg"),
        ("D:/x/sub/d.jpeg", "sub/d.jpeg"),
        ("\\\\server\\share\\a.jpg", "a.jpg"),
        ("/home/nobody/deep/er/f.jpg", "deep/er/f.jpg"),
        ("file:///home/nobody/a.jpg", "a.jpg"),
        ("s3://bucket/x/sub/d.jpeg", "sub/d.jpeg"),
        ("https://x.org/y/a.jpg?token=1/2#z", "a.jpg"),
        ("/data/local-files/?d=x%5Ca.jpg", "a.jpg"),
        ("none.jpg", None),
        ("", None),
        ("/", None),
        ("..", None),
        ("sub", None),
        ("a\0.jpg", None),
        ("\ud800.jpg", None),
        ("a" * 9000, None),
        ("%", None),
        ("?d=", None),
    ],
)
def test_other_ways_to_write_a_name(folder, stated, file):
    images = NamedImages(folder, [stated])
    found = images.find(stated)
    if file is None:
        assert found.fault[0] == "image file is missing"
        assert found.fault[1]
        assert list(images.paths()) == []
    else:
        assert (found.fault, found.name, found.path) == (None, file, folder / file)
        assert list(images.paths()) == [folder / file]
        [change] = found.changes
        assert change[:2] == ("image", OTHER)
        assert repr(stated) in change[2]


def test_absolute_paths(folder, tmp_path):
    images = ImageFolder(folder)
    inside = images.by_name(str(folder / "sub/d.jpeg"))
    assert (inside.name, inside.changes[0][1]) == ("sub/d.jpeg", OTHER)
    for name in (str(tmp_path / "outside.jpg"), "../../outside.jpg"):
        outside = images.by_name(name)
        assert outside.path.read_text() == "outside"
        assert outside.changes[0][1] == "image file lies outside the image folder"
        assert str(tmp_path / "outside.jpg") in outside.changes[0][2]
        assert images.by_name(name, anywhere=True).fault[0] == "image file is missing"


def test_relative_image_folders(folder, monkeypatch):
    monkeypatch.chdir(folder / "sub")
    images = ImageFolder(type(folder)(".."))
    assert images.by_name("a.jpg").changes == ()
    assert images.by_name("images/a.jpg").name == "a.jpg"


def test_lvis_addresses_are_read_as_the_stock_data_set_does(folder):
    address = "http://images.cocodataset.org/sub/d.jpeg"
    found = NamedImages(folder, [address]).find(address)
    assert (found.path, found.name, found.changes) == (folder / "sub/d.jpeg", "sub/d.jpeg", ())
    train = NamedImages(folder / "sub", ["http://images.cocodataset.org/sub/d.jpeg"])
    assert next(train.paths()) == folder / "sub/d.jpeg"


def test_names_that_fit_several_files_are_refused(folder):
    (folder / "twin.JPG").touch()
    (folder / "Twin.jpg").touch()
    images = ImageFolder(folder)
    found = images.by_name("TWIN.jpg")
    assert found.fault == ("several image files fit the name equally", "'Twin.jpg', 'twin.JPG'")
    assert images.by_name("twin.jpg").name == "twin.JPG"  # this one differs by its extension alone


def test_a_missing_file_is_told_with_the_nearest(folder):
    found = NamedImages(folder, ["photos/a.jpg"]).find("photos/a.jpg")
    assert found.fault == ("image file is missing", "nearest name there: 'a.jpg'")
    empty = NamedImages(folder / "none", ["a.jpg"]).find("a.jpg")
    assert empty.fault[1] == "the folder has no image files"


def test_an_image_is_its_exact_names(folder):
    names = ["a.jpg", "A.jpg", "a.JPG", "a.jpg", "/a.jpg"]
    images = NamedImages(folder, names)
    faults = [found.fault and found.fault[0] for found in map(images.find, names)]
    assert faults == [None, *["image file belongs to another record"] * 2, None, None]
    assert list(images.paths()) == [folder / "a.jpg"] * 3


def test_an_image_that_several_would_use_is_nobodys(folder):
    names = ["C:\\one\\a.jpg", "C:\\two\\a.jpg", "sub/d.jpeg"]
    images = NamedImages(folder, names)
    faults = [found.fault and found.fault[0] for found in map(images.find, names)]
    assert faults == [*["several records would use the same image file"] * 2, None]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes there")
def test_a_name_that_is_no_text_is_refused(folder):
    name = os.fsdecode(b"\xff.jpg")
    try:
        (folder / name).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert "not Unicode" in NamedImages(folder, [name]).find(name).fault[0]


def test_links_out_of_the_folder_are_noted(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "images").mkdir()
    for name in ("store/a.jpg", "store/c.jpg", "images/own.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "images" / "a.jpg").symlink_to(tmp_path / "store" / "a.jpg")
    (tmp_path / "images" / "b.jpg").symlink_to("own.jpg")
    (tmp_path / "images" / "part").symlink_to(tmp_path / "store")
    names = ["a.jpg", "b.jpg", "own.jpg", "part/c.jpg"]
    found = NamedImages(tmp_path / "images", names)
    noted = {name: [reason for _, reason, _ in found.find(name).changes] for name in names}
    outside = ["image file lies outside the image folder"]
    assert noted == {"a.jpg": outside, "b.jpg": [], "own.jpg": [], "part/c.jpg": outside}
    (tmp_path / "linked").symlink_to(tmp_path / "images")
    assert NamedImages(tmp_path / "linked", ["own.jpg"]).find("own.jpg").changes == ()


def test_names_of_lvis_0_5_lead_to_coco_2017(folder):
    (folder / "000000000139.jpg").write_bytes(b"x")
    found = ImageFolder(folder).by_name("COCO_val2014_000000000139.jpg")
    assert (found.name, found.fault, len(found.changes)) == ("000000000139.jpg", None, 1)
    assert ImageFolder(folder).by_name("COCO_val2014_000000000140.jpg").fault is not None
