"""Files and folders that may not be read are told as such, not as missing."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from deeplake_mmdet.errors import AnnotationError, SourceNotFoundError
from deeplake_mmdet.transfer import import_coco, import_voc

NOBODY = 65534
DENIED = ("image file cannot be read", "(Permission denied)")


@pytest.fixture
def place(make_image):
    """A folder with images and annotations, seen by a user who may be refused something."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    for name in ("images/inner", "voc/Annotations", "lakes"):
        (root / name).mkdir(parents=True)
    (root / "lakes").chmod(0o777)
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    for number, name in enumerate(("a.jpg", "b.jpg", "inner/c.jpg")):
        (root / "images" / name).write_bytes(make_image(seed=number))
        data["images"].append({"id": number, "file_name": name, "width": 32, "height": 24})
    (root / "coco.json").write_text(json.dumps(data))
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    text = f"<annotation><object><name>cat</name>{box}</object></annotation>"
    (root / "voc/Annotations/a.xml").write_text(text)
    import_coco(root / "coco.json", root / "lakes/first", images=root / "images", progress=False)
    is_root = os.geteuid() == 0

    def closed(name, mode):
        if is_root:
            os.seteuid(0)
        (root / name).chmod(mode)
        if is_root:
            os.seteuid(NOBODY)
        return root

    yield closed
    if is_root:
        os.seteuid(0)
    for folder in (root / "images", root / "images/inner", root / "voc", root / "voc/Annotations"):
        folder.chmod(0o755)
    shutil.rmtree(root)


def run(root):
    options = {"images": root / "images", "progress": False, "overwrite": True}
    return import_coco(root / "coco.json", root / "lakes/lake", **options)


@pytest.mark.parametrize(
    ("name", "mode"), [("images/b.jpg", 0), ("images/inner", 0), ("images/inner", 0o444)]
)
def test_a_part_that_may_not_be_read_is_refused_alone(place, name, mode):
    summary = run(place(name, mode))
    assert summary.images == 2
    assert [(one.reason, one.detail) for one in summary.refused] == [DENIED]


def test_an_image_folder_that_may_not_be_read(place):
    with pytest.raises(AnnotationError, match=r"image file cannot be read: 3.*Permission denied"):
        run(place("images", 0))


@pytest.mark.parametrize("name", ["voc", "voc/Annotations"])
def test_a_voc_folder_that_may_not_be_read(place, name):
    root = place(name, 0)
    with pytest.raises(SourceNotFoundError, match=r"cannot be read.*Permission denied"):
        import_voc(root / "voc", root / "lakes/voc", progress=False)
