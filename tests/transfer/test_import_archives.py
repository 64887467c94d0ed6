"""Imports out of zip files, and of other layouts, are those of the folder they were made of."""

import json
import zipfile

import deeplake
import numpy as np
import pytest

from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.transfer import import_coco, import_voc

SPLITS = {"train": 12, "valid": 5, "test": 4}


def pack(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for entry in sorted(folder.rglob("*")):
            file.write(entry, entry.relative_to(folder.parent))
    return path


def rows(lake, *, by_name=True):
    """What a lake holds, by the last part of the files' names."""
    ds = deeplake.open_read_only(str(lake))
    names = [ds["file_name"][row] for row in range(len(ds))]
    found = {
        name.rsplit("/", 1)[-1]: (
            ds["images"].get_bytes(row),
            np.asarray(ds["boxes"][row]).tolist(),
            np.asarray(ds["labels"][row]).tolist(),
        )
        for row, name in enumerate(names)
    }
    assert len(found) == len(names)
    return found, ds["labels"].metadata["class_names"]


@pytest.fixture(scope="module")
def ids(shared_data):
    """Some images of BCCD for each split."""
    every = sorted(path.stem for path in (shared_data / "bccd/Annotations").glob("*.xml"))
    found, at = {}, 0
    for split, count in SPLITS.items():
        found[split] = every[at : at + count]
        at += count
    return found


@pytest.fixture
def voc(shared_data, ids, tmp_path):
    """The images in the layout of VOC2007, and what it is imported as, by split."""
    root = tmp_path / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for split, names in ids.items():
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
        for name in names:
            for file in (f"Annotations/{name}.xml", f"JPEGImages/{name}.jpg"):
                (root / file).write_bytes((shared_data / "bccd" / file).read_bytes())
    expected = {}
    for split in ids:
        import_voc(root, tmp_path / "expected" / split, split=split, progress=False)
        expected[split] = rows(tmp_path / "expected" / split)
    return root, expected


def roboflow(root, ids, target):
    for split, names in ids.items():
        (target / split).mkdir(parents=True)
        for name in names:
            (root / f"Annotations/{name}.xml").rename(target / split / f"{name}.xml")
            (root / f"JPEGImages/{name}.jpg").rename(target / split / f"{name}.jpg")
    (target / "README.roboflow.txt").write_text("BCCD - v1")


def beside(root, ids, target):
    """``train/images`` and ``train/annotations``."""
    roboflow(root, ids, target)
    for split in ids:
        for kind, extension in (("images", "jpg"), ("annotations", "xml")):
            (target / split / kind).mkdir()
            for file in (target / split).glob(f"*.{extension}"):
                file.rename(target / split / kind / file.name)


def by_kind(root, ids, target):
    """``images/train`` and ``annotations/train``."""
    roboflow(root, ids, target)
    for split in ids:
        for kind, extension in (("images", "jpg"), ("annotations", "xml")):
            (target / kind / split).mkdir(parents=True)
            for file in (target / split).glob(f"*.{extension}"):
                file.rename(target / kind / split / file.name)


@pytest.mark.parametrize("layout", [roboflow, beside, by_kind])
@pytest.mark.parametrize("zipped", [False, True])
def test_folders_of_splits(voc, ids, tmp_path, layout, zipped):
    root, expected = voc
    target = tmp_path / "export"
    layout(root, ids, target)
    source = pack(target, tmp_path / "export.zip") if zipped else target
    for split in ids:
        summary = import_voc(source, tmp_path / "lakes" / split, split=split, progress=False)
        assert rows(tmp_path / "lakes" / split) == expected[split]
        assert summary.refusals.counts == {}
    with pytest.raises(SourceNotFoundError, match=r"no split 'trial'"):
        import_voc(source, tmp_path / "lake", split="trial", progress=False)
    if layout is by_kind:
        summary = import_voc(source, tmp_path / "lake", progress=False)
        assert summary.images == sum(SPLITS.values())
    else:
        with pytest.raises(ConfigError, match=r"say which split.*test, train, valid"):
            import_voc(source, tmp_path / "lake", progress=False)


def test_a_zipped_voc2007(voc, ids, tmp_path, capsys):
    root, expected = voc
    zipped = pack(root, tmp_path / "voc.zip")
    args = ["import", "voc", str(zipped), str(tmp_path / "lake"), "--split", "valid"]
    assert main(args) == 0
    assert rows(tmp_path / "lake") == expected["valid"]
    with pytest.raises(ConfigError, match="which split"):
        import_voc(zipped, tmp_path / "none", progress=False)
    import_voc(zipped / "VOC2007", tmp_path / "inner", split="test", progress=False)
    assert rows(tmp_path / "inner") == expected["test"]
    assert not (tmp_path / "none").exists()


def test_all_in_one_folder_with_images_that_have_no_xml(voc, ids, tmp_path):
    root, expected = voc
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (*(root / "Annotations").iterdir(), *(root / "JPEGImages").iterdir()):
        file.rename(flat / file.name)
    spare = [f"{name}.xml" for name in ids["test"]]
    for name in spare:
        (flat / name).unlink()
    for source in (flat, pack(flat, tmp_path / "flat.zip")):
        summary = import_voc(source, tmp_path / "lake", progress=False, overwrite=True)
        assert rows(tmp_path / "lake")[0] == expected["train"][0] | expected["valid"][0]
        [note] = [note for note in summary.notes if "no annotation file" in note]
        assert note.startswith(f"{len(spare)} images")
        assert all(name.replace(".xml", ".jpg") in note for name in spare)


@pytest.fixture
def coco(make_coco):
    annotations, images = make_coco(count=5)
    return annotations, images


def place(coco, target, annotations="annotations/instances_train2017.json", images="train2017"):
    (target / images).mkdir(parents=True, exist_ok=True)
    (target / annotations).parent.mkdir(exist_ok=True, parents=True)
    (target / annotations).write_bytes(coco[0].read_bytes())
    for file in coco[1].iterdir():
        (target / images / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/a.json", "images"),
        ("train/_annotations.coco.json", "train"),
        ("a.json", "images"),
        ("a.json", "."),
    ],
)
def test_images_are_found_beside_coco_files(coco, tmp_path, annotations, images):
    import_coco(coco[0], tmp_path / "expected", images=coco[1], progress=False)
    expected = rows(tmp_path / "expected")
    target = place(coco, tmp_path / "set", annotations, images)
    zipped = pack(target, tmp_path / "set.zip")
    for number, source in enumerate(
        (target, target / annotations, zipped, zipped / "set", zipped / "set" / annotations)
    ):
        lake = tmp_path / f"lake{number}"
        assert main(["import", "coco", str(source), str(lake)]) == 0
        assert rows(lake) == expected
    for way, folder in enumerate((zipped / "set" / images, pack(coco[1], tmp_path / "images.zip"))):
        lake = tmp_path / f"apart{way}"
        summary = import_coco(coco[0], lake, images=folder, progress=False)
        assert (rows(lake), summary.changes.kept) == (expected, [])


def test_images_beside_are_found_under_names_written_otherwise(make_coco, tmp_path):
    def change(data):
        for image in data["images"]:
            image["file_name"] = f"C:\\set\\images\\{image['id']}.JPG"

    coco = make_coco(count=3, change=change)
    zipped = pack(place(coco, tmp_path / "set", "annotations/a.json", "images"), tmp_path / "set.zip")
    summary = import_coco(zipped, tmp_path / "lake", progress=False)
    assert summary.images == 3
    assert summary.changes.counts == {("image", "image file found under another name"): 3}


def test_coco_sources_that_do_not_say_enough(coco, tmp_path):
    target = place(coco, tmp_path / "set")
    (target / "annotations/other.json").write_text("{}")
    zipped = pack(target, tmp_path / "set.zip")
    for source in (target, zipped):
        with pytest.raises(ConfigError, match=r"2 JSON files.*instances_train2017.json"):
            import_coco(source, tmp_path / "lake", progress=False)
        images = (source if source is target else source / "set") / "train2017"
        with pytest.raises(SourceNotFoundError, match="no JSON file"):
            import_coco(images, tmp_path / "lake", progress=False)
    for file in (target / "train2017").iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match=r"not beside.*--images"):
        import_coco(target / "annotations/instances_train2017.json", tmp_path / "lake")
    with pytest.raises(SourceNotFoundError, match="no such image folder"):
        import_coco(coco[0], tmp_path / "lake", images=zipped / "none", progress=False)
    assert not (tmp_path / "lake").exists()


def test_damaged_images_of_a_zip_file_are_refused_one_by_one(coco, tmp_path):
    zipped = pack(place(coco, tmp_path / "set"), tmp_path / "set.zip")
    with zipfile.ZipFile(zipped) as file:
        at = file.getinfo("set/train2017/3.jpg").header_offset
    data = bytearray(zipped.read_bytes())
    data[at + 200 : at + 260] = bytes(60)
    zipped.write_bytes(data)
    summary = import_coco(zipped, tmp_path / "lake", progress=False)
    [finding] = summary.refused
    assert (finding.reason, summary.images) == ("image file cannot be read", 4)
    assert finding.file.endswith("set.zip/set/train2017/3.jpg")
    assert "damaged in the zip file" in finding.detail


def test_a_zip_file_that_cannot_be_trusted_leaves_nothing(coco, tmp_path, capsys):
    zipped = pack(place(coco, tmp_path / "set"), tmp_path / "set.zip")
    with zipfile.ZipFile(zipped, "a") as file:
        file.writestr("../evil.jpg", b"x")
    before = sorted(tmp_path.rglob("*"))
    for source in (
        ["coco", str(zipped)],
        ["voc", str(zipped)],
        ["coco", str(coco[0]), "--images", str(zipped)],
    ):
        assert main(["import", source[0], source[1], str(tmp_path / "lake"), *source[2:]]) == 1
        shown = capsys.readouterr()
        assert "lead out of it" in " ".join(shown.err.split())
        assert "Traceback" not in shown.err
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(SourceFormatError):
        import_voc(zipped, tmp_path / "lake")


def test_what_a_zip_file_says_does_not_lead_out_of_it(make_coco, tmp_path):
    outside = tmp_path / "outside.jpg"

    def change(data):
        data["images"][0]["file_name"] = str(outside)
        data["images"][1]["file_name"] = "../../outside.jpg"

    coco = make_coco(count=3, change=change)
    outside.write_bytes((coco[1] / "0.jpg").read_bytes())
    zipped = pack(place(coco, tmp_path / "set"), tmp_path / "set.zip")
    summary = import_coco(zipped, tmp_path / "lake", progress=False)
    assert summary.images == 1
    assert {finding.reason for finding in summary.refused} == {"image file is missing"}


def test_lvis_in_a_zip_file(coco, tmp_path):
    data = json.loads(coco[0].read_text())
    for image in data["images"]:
        folder = "train2017" if image["id"] % 2 else "val2017"
        image["coco_url"] = f"http://images.cocodataset.org/{folder}/{image.pop('file_name')}"
    target = tmp_path / "set"
    for image in data["images"]:
        folder, name = image["coco_url"].split("/")[-2:]
        (target / folder).mkdir(parents=True, exist_ok=True)
        (target / folder / name).write_bytes((coco[1] / name).read_bytes())
    (target / "annotations").mkdir()
    (target / "annotations/lvis_v1_val.json").write_text(json.dumps(data))
    zipped = pack(target, tmp_path / "set.zip")
    import_coco(coco[0], tmp_path / "expected", images=coco[1], progress=False)
    for number, options in enumerate(({}, {"images": zipped / "set"}, {"images": target})):
        summary = import_coco(zipped, tmp_path / f"lake{number}", progress=False, **options)
        assert rows(tmp_path / f"lake{number}") == rows(tmp_path / "expected")
        assert summary.changes.kept == []
        assert any("named by their coco_url" in note for note in summary.notes)
