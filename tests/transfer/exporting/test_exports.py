"""What all exports have in common: runs, links, names, orientations, and what is refused."""

import errno
import json
import os
import subprocess

import cv2
import deeplake
import numpy as np
import pytest
from deeplake import types
from PIL import Image
from pycocotools.coco import COCO

from deeplake_mmdet import export_coco, export_voc, export_yolo, import_coco
from deeplake_mmdet.errors import ConfigError, ImportRefusedError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake import (
    CredentialRef,
    ImageRecord,
    LakeWriter,
    Source,
    open_view,
    save_view,
    write_run,
)
from deeplake_mmdet.lake.source.pinning import resolve
from deeplake_mmdet.transfer.exporting.pictures import Pictures

EXPORTS = {"coco": export_coco, "voc": export_voc, "yolo": export_yolo}
RLE = {"size": [24, 32], "counts": [100, 50, 618]}


@pytest.fixture
def lake(make_coco, tmp_path):
    path, images = make_coco(3)
    import_coco(path, tmp_path / "lake", images=images, progress=False)
    return tmp_path / "lake"


@pytest.fixture
def foreign(make_image, tmp_path):
    """A lake that nobody imported: fractional boxes, no ids, no names, one image that is none."""
    made = deeplake.create(str(tmp_path / "foreign"))
    made.add_column("images", types.Image(sample_compression="jpeg"))
    made.add_column("boxes", types.BoundingBox("float32", format="ccwh", bbox_type="fractional"))
    made.add_column("labels", types.ClassLabel(types.Array("int32", 1)))
    made["labels"].metadata["class_names"] = ["x", "y"]
    boxes = [[[0.5, 0.5, 0.25, 0.5]], [], []]
    made.append(
        {
            "images": [make_image(), make_image(seed=1), b"no image"],
            "boxes": [np.array(box, np.float32).reshape(-1, 4) for box in boxes],
            "labels": [np.array([1]), np.zeros(0, int), np.zeros(0, int)],
        }
    )
    made.commit()
    return tmp_path / "foreign"


def names_in(folder):
    return sorted(file.name for file in folder.iterdir())


def predict(lake, classes, *, masks=False):
    kinds = ("pred/boxes", "pred/labels", "pred/scores", *(["pred/masks"] if masks else []))
    count = len(deeplake.open_read_only(str(lake)))
    block = {
        "pred/boxes": [np.array([[1, 2, 9, 8], [4, 4, 8, 8.5]], np.float32)] * count,
        "pred/labels": [np.array([1, 0], np.uint32)] * count,
        "pred/scores": [np.array([0.75, 0.5], np.float32)] * count,
    }
    if masks:
        block["pred/masks"] = [json.dumps([RLE, RLE])] * count
    base = resolve(Source(str(lake)))
    facts = {"columns": kinds, "class_names": classes, "metadata": {"run_id": "first"}}
    write_run(base, CredentialRef(), "first", iter([block]), **facts)


def test_predictions_are_coco_results_with_the_ids_of_the_truth(lake, tmp_path):
    predict(lake, ["b", "a"], masks=True)
    summary = export_coco(lake, tmp_path / "out", predictions="first", progress=False)
    export_coco(lake, tmp_path / "truth", images="none", progress=False)
    assert (summary.boxes, summary.masks, summary.predictions) == (6, 6, "first")
    truth = COCO(tmp_path / "truth" / "annotations.json")
    results = json.loads((tmp_path / "out/predictions.json").read_text())
    assert results[0] == {
        "image_id": 0,
        "category_id": 4,
        "category_name": "a",
        "bbox": [1, 2, 8, 6],
        "score": 0.75,
        "segmentation": RLE,
    }
    assert len(truth.loadRes(results).anns) == 6
    assert truth.cats[results[0]["category_id"]]["name"] == "a"


def test_predictions_as_yolo_and_voc(lake, tmp_path):
    predict(lake, ["a", "b"])
    export_yolo(lake, tmp_path / "yolo", predictions="runs/first", images="none", progress=False)
    line = (tmp_path / "yolo/labels/0.txt").read_text().splitlines()[0].split()
    assert np.array(line, float) == pytest.approx([1, 5 / 32, 5 / 24, 8 / 32, 6 / 24, 0.75], abs=1e-6)
    export_voc(lake, tmp_path / "voc", predictions="first", images="none", progress=False)
    assert "<score>0.750000</score>" in (tmp_path / "voc/Annotations/0.xml").read_text()


def test_runs_that_are_not_there_and_what_does_not_go_with_them(lake, tmp_path):
    predict(lake, ["a", "b"])
    with pytest.raises(SourceNotFoundError, match="Runs there: first"):
        export_coco(lake, tmp_path / "out", predictions="frist", progress=False)
    with pytest.raises(ConfigError, match=r"'predictions' and 'branch'"):
        export_coco(lake, tmp_path / "out", predictions="first", branch="main", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", EXPORTS)
def test_a_lake_of_others_is_exported(foreign, tmp_path, format):
    summary = EXPORTS[format](foreign, tmp_path / "out", progress=False)
    assert (summary.images, summary.boxes) == (2, 1)
    assert summary.left_out.total("image") == 1
    if format == "coco":
        made = COCO(tmp_path / "out/annotations.json")
        assert made.anns[1]["bbox"] == [12, 6, 8, 12]
        assert made.anns[1]["area"] == 96
        assert made.cats[made.anns[1]["category_id"]]["name"] == "y"
        assert sum("numbers from 0" in note or "numbered from 1" in note for note in summary.notes) == 3


def test_a_query_chooses_rows_and_classes_boxes(lake, tmp_path):
    export_coco(lake, tmp_path / "out", query="SELECT * WHERE image_id == 2", progress=False)
    data = json.loads((tmp_path / "out/annotations.json").read_text())
    assert [image["id"] for image in data["images"]] == [2]
    assert [entry["id"] for entry in data["annotations"]] == [2]
    export_coco(lake, tmp_path / "a", classes=["a"], images="none", progress=False)
    data = json.loads((tmp_path / "a/annotations.json").read_text())
    assert (len(data["images"]), data["annotations"]) == (3, [])


def test_a_saved_view_and_a_branch_are_exported(lake, tmp_path):
    base = resolve(Source(str(lake)))
    save_view(base, CredentialRef(), "two", [0, 2])
    export_coco(lake, tmp_path / "view", view="two", progress=False)
    data = json.loads((tmp_path / "view/annotations.json").read_text())
    assert [image["id"] for image in data["images"]] == [0, 2]
    predict(lake, ["a", "b"])
    export_coco(lake, tmp_path / "branch", branch="runs/first", images="none", progress=False)
    export_coco(lake, tmp_path / "main", images="none", progress=False)
    texts = {(tmp_path / name / "annotations.json").read_text() for name in ("branch", "main")}
    assert len(texts) == 1  # the truth, and not what was predicted


def test_what_was_changed_in_the_lake_counts(make_coco, tmp_path):
    def change(data):
        data["annotations"][0] |= {"bbox": ["1", "2", "3", "4"], "area": "9.5", "extra": 1}
        data["annotations"][1] |= {"category_id": "2", "area": "9.5"}

    path, images = make_coco(2, change)
    import_coco(path, tmp_path / "lake", images=images, progress=False)
    lake = deeplake.open(str(tmp_path / "lake"))
    lake["boxes"][0] = np.array([[5.0, 5, 6, 7]])
    lake["labels"][1] = np.array([0], np.uint32)
    lake.commit("Repaired")
    export_coco(tmp_path / "lake", tmp_path / "out", progress=False)
    first, second = json.loads((tmp_path / "out/annotations.json").read_text())["annotations"]
    assert first["bbox"] == [5, 5, 6, 7]
    assert (first["area"], first["extra"]) == ("9.5", 1)
    assert (second["category_id"], second["area"]) == (4, "9.5")


def test_links_are_linked_to(make_image, tmp_path):
    (tmp_path / "a 1.jpg").write_bytes(make_image())
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(make_image(exif=exif))
    made = deeplake.create(str(tmp_path / "links"))
    made.add_column("images", types.Link(types.Image()))
    made.add_column("boxes", types.BoundingBox("float64", format="ltrb", bbox_type="pixel"))
    made.add_column("labels", types.ClassLabel(types.Array("int32", 1)))
    made["labels"].metadata["class_names"] = ["x"]
    files = [tmp_path / "a 1.jpg", tmp_path / "turned.jpg"]
    boxes = [np.array([[1.0, 2, 3, 4]])] * 2
    made.append({"images": list(map(str, files)), "boxes": boxes, "labels": [np.array([0])] * 2})
    made.commit()
    summary = export_coco(tmp_path / "links", tmp_path / "out", images="link", progress=False)
    folder = tmp_path / "out/images"
    assert (folder / "a 1.jpg").is_symlink()
    assert (folder / "a 1.jpg").resolve() == files[0].resolve()
    assert not (folder / "turned.jpg").is_symlink()  # its tag is another one
    assert cv2.imread(str(folder / "turned.jpg")).shape == (24, 32, 3)  # as the boxes mean it
    assert any("orientation of 1 images" in note for note in summary.notes)


def test_turned_images_stay_turned(make_image, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "img").mkdir()
    (tmp_path / "img/a.jpg").write_bytes(make_image(exif=exif))
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 24, "height": 32}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 20], "area": 200}],
        "categories": [{"id": 1, "name": "x"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(data))
    import_coco(tmp_path / "a.json", tmp_path / "lake", images=tmp_path / "img", progress=False)
    export_coco(tmp_path / "lake", tmp_path / "coco", progress=False)
    assert json.loads((tmp_path / "coco/annotations.json").read_text()) == data
    assert (tmp_path / "coco/images/a.jpg").read_bytes() == (tmp_path / "img/a.jpg").read_bytes()
    export_yolo(tmp_path / "lake", tmp_path / "yolo", progress=False)
    line = np.array((tmp_path / "yolo/labels/a.txt").read_text().split(), float)
    assert line[1:] == pytest.approx([7 / 24, 13 / 32, 10 / 24, 20 / 32], abs=1e-6)


@pytest.mark.parametrize(
    "name", ["../../evil.jpg", "/abs/evil.jpg", "C:\\x\\evil.jpg", "a/../../../evil.jpg", "..\\evil.jpg"]
)
def test_no_name_leads_out_of_the_folder(lake, tmp_path, name):
    made = deeplake.open(str(lake))
    made["file_name"][1] = name
    made.commit("Renamed")
    for format, export in EXPORTS.items():
        summary = export(lake, tmp_path / format, progress=False)
        assert summary.changes.counts[("image", "file has another name")] == 1
        assert len(list((tmp_path / format).rglob("*evil.jpg"))) == 1
    assert len(list(tmp_path.rglob("*evil.jpg"))) == 3


def test_names_without_an_ending_get_one(lake, tmp_path):
    made = deeplake.open(str(lake))
    made["file_name"][0], made["file_name"][1] = "plain", ".hidden"
    made.commit("Renamed")
    for images in ("copy", "none"):
        export_yolo(lake, tmp_path / images, images=images, progress=False)
        assert names_in(tmp_path / images / "labels") == [".hidden.txt", "2.txt", "plain.txt"]
    assert names_in(tmp_path / "copy/images") == [".hidden.jpg", "2.jpg", "plain.jpg"]


def test_kept_columns_are_taken_for_nothing_else(make_coco, tmp_path):
    def change(data):
        data["annotations"][0] |= {"boxes": [1], "segmentations": "x"}
        data["images"][0]["file_names"] = "y"

    path, images = make_coco(2, change)
    import_coco(path, tmp_path / "lake", images=images, progress=False)
    view = open_view(Source(str(tmp_path / "lake")))
    assert {"image_remainder", "annotation_remainders"} <= view.columns.keys()
    assert not {"image_remainder", "annotation_remainders"} & set(vars(view.roles).values())
    assert view.roles.gt_masks is None
    assert not view.notes


def test_images_of_one_name_stay_apart(lake, tmp_path):
    made = deeplake.open(str(lake))
    for row in range(3):
        made["file_name"][row] = "same.jpg"
    made.commit("Renamed")
    export_coco(lake, tmp_path / "out", progress=False)
    images = json.loads((tmp_path / "out/annotations.json").read_text())["images"]
    stored = deeplake.open_read_only(str(lake))
    assert len({image["file_name"] for image in images}) == 3
    for row, image in enumerate(images):
        assert (tmp_path / "out/images" / image["file_name"]).read_bytes() == stored["images"].get_bytes(row)


LOSSLESS = (  # 4 x 3 pixels, of which sample n is 7 n
    "ffd8ffee000e41646f626500640000000000ffc30011080003000403521100471100421100ffc400170001010101000000000000"
    "00000000000006050708ffda000c03520047004200070000c3706e7fab56ad5ab56ad5abaa6a9aa356ad5ab56ad5ab5d5354d51a"
    "b56ad5ab56ad5aff00ffd9"
)


def test_lossless_jpegs_are_png_for_others(tmp_path):
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7
    with LakeWriter(
        str(tmp_path / "lake"), class_names=["x"], box_format="ltwh", image_format="jpeg"
    ) as writer:
        boxes = np.array([[0.0, 0, 2, 2]])
        writer.append(ImageRecord(bytes.fromhex(LOSSLESS), 4, 3, "a.bmp", boxes, np.array([0])))
    for format, export in EXPORTS.items():
        summary = export(tmp_path / "lake", tmp_path / format, progress=False)
        assert any("lossless JPEG" in note for note in summary.notes)
        name = "a.bmp" if format == "coco" else "a.png"  # of COCO's names nothing is changed
        (file,) = (tmp_path / format).rglob(name)
        assert file.read_bytes().startswith(b"\x89PNG")
        assert (cv2.imread(str(file)) == pixels).all()


def test_images_in_a_lake_cannot_be_linked(lake, tmp_path):
    with pytest.raises(ConfigError, match="cannot be linked"):
        export_coco(lake, tmp_path / "out", images="link", progress=False)
    with pytest.raises(ConfigError, match="copy, link, none"):
        export_coco(lake, tmp_path / "out", images="move", progress=False)
    assert not (tmp_path / "out").exists()


def test_folders_that_are_taken_are_refused(lake, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_text("")
    export_coco(lake, tmp_path / "out", progress=False)  # an empty one is not
    for folder, error in (
        (tmp_path / "out", ImportRefusedError),
        (tmp_path / "file", ImportRefusedError),
        (lake / "inside", ConfigError),
        ("s3://bucket/folder", ConfigError),
        ("a\0b", ConfigError),
        (tmp_path / "file" / "below", StorageError),
    ):
        with pytest.raises(error):
            export_coco(lake, folder, progress=False)
    assert names_in(tmp_path / "out") == ["annotations.json", "images"]


def test_a_full_disk_leaves_nothing_behind(lake, tmp_path, monkeypatch):
    real = Pictures.write

    def write(self, row, *given, **options):
        if row == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, row, *given, **options)

    monkeypatch.setattr(Pictures, "write", write)
    for format, export in EXPORTS.items():
        with pytest.raises(StorageError, match="No space left"):
            export(lake, tmp_path / "deep" / format, progress=False)
        assert not (tmp_path / "deep").exists()


def test_what_a_killed_export_left_is_removed(lake, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    from deeplake_mmdet.lake.writing.targets import host_name

    left = tmp_path / "out" / f".exporting-{host_name()}-{dead.pid}-0123abcd"
    left.mkdir()
    (left / "annotations.json").write_text("{")
    summary = export_coco(lake, tmp_path / "out", progress=False)
    assert names_in(tmp_path / "out") == ["annotations.json", "images"]
    assert any("interrupted" in note for note in summary.notes)
    alive = tmp_path / "other" / f".exporting-{host_name()}-{os.getppid()}-0123abcd"
    alive.mkdir(parents=True)
    with pytest.raises(ImportRefusedError, match="under way"):
        export_coco(lake, tmp_path / "other", progress=False)


def test_the_command(lake, tmp_path, capsys):
    from deeplake_mmdet.cli import main

    assert main(["export", "yolo", str(lake), str(tmp_path / "out"), "--images", "none", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["format"], facts["images"], facts["boxes"]) == ("yolo", 3, 3)
    assert main(["export", "coco", str(lake), str(tmp_path / "out")]) == 1
    assert "not empty" in capsys.readouterr().err
    assert main(["export", "coco", str(lake), str(tmp_path / "two")]) == 0
    assert "Exported 3 images with 3 boxes" in capsys.readouterr().out
