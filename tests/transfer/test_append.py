"""Images added to a lake that stands: as if they had been imported with the others, or not at all."""

import io
import json
import os
import random
import shutil
import subprocess
import sys
import time

import cv2
import deeplake
import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet import export_coco, export_yolo, import_coco, import_voc, import_yolo
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import AnnotationError, ConfigError, ImportRefusedError
from deeplake_mmdet.lake import Source, open_view
from s3 import s3_endpoint

WIDTH, HEIGHT = 32, 24
BOX = [1.0, 2.0, 3.5, 4.0]


@pytest.fixture
def coco(tmp_path, make_image):
    """Write a COCO data set of some images, one box each; numbers tell pixels, names and ids apart."""

    def make(numbers, change=None, folder="coco", encoding="jpeg"):
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        data = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 4, "name": "a"}, {"id": 2, "name": "b"}],
        }
        for n in numbers:
            (root / f"{n}.jpg").write_bytes(make_image(seed=n, encoding=encoding))
            data["images"].append({"id": n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT})
            one = {"id": 10 * n, "image_id": n, "category_id": (4, 2)[n % 2], "bbox": BOX}
            data["annotations"].append({**one, "area": 9.25, "iscrowd": 0})
        if change:
            change(data)
        (root / "all.json").write_text(json.dumps(data))
        return root

    return make


def take(root, lake, **options):
    return import_coco(root / "all.json", lake, images=root, progress=False, **options)


@pytest.fixture
def yolo(tmp_path, make_image):
    def make(labels, names="[a, b]", folder="yolo"):
        root = tmp_path / folder
        for number, (name, text) in enumerate(labels.items()):
            root.mkdir(exist_ok=True)
            (root / f"{name}.jpg").write_bytes(make_image(seed=100 + number))
            (root / f"{name}.txt").write_text(text)
        (root / "data.yaml").write_text(f"train: .\nnames: {names}\n")
        return root

    return make


def add(root, lake, **options):
    return import_yolo(root, lake, append=True, progress=False, **options)


def content(lake):
    """All that a lake says of its images, by row."""
    ds = deeplake.open_read_only(str(lake))
    found = []
    for row in range(len(ds)):
        cells = {c.name: ds[c.name][row] for c in ds.schema.columns if c.name != "images"}
        cells = {
            name: cell.tolist() if isinstance(cell, np.ndarray) else cell for name, cell in cells.items()
        }
        found.append({**cells, "images": ds["images"].get_bytes(row)})
    return found


def state(lake):
    ds = deeplake.open_read_only(str(lake))
    return len(ds), ds.version, [entry.id for entry in ds.history], list(ds.branches.names())


def with_masks(data):
    for one in data["annotations"]:
        one["segmentation"] = [[1, 2, 4.5, 2, 4.5, 6]]


@pytest.mark.parametrize("change", [None, with_masks])
def test_two_imports_are_one(coco, tmp_path, change):
    take(coco(range(700), change), tmp_path / "both")
    take(coco(range(300), change), tmp_path / "lake")
    reader = deeplake.open_read_only(str(tmp_path / "lake"))
    before = state(tmp_path / "lake")
    summary = take(coco(range(300, 700), change), tmp_path / "lake", append=True)
    assert content(tmp_path / "lake") == content(tmp_path / "both")
    assert (summary.images, summary.rows, summary.class_counts) == (400, 700, {"a": 200, "b": 200})
    assert "Appended 400 images with 400 boxes" in str(summary)
    assert "it has 700 images now" in str(summary)
    assert not summary.changes.counts
    assert not summary.refusals.counts
    rows, _, history, branches = state(tmp_path / "lake")
    assert (rows, history[:-1], branches) == (700, before[2], ["main"])  # one commit
    assert len(reader) == 300
    view = open_view(Source(str(tmp_path / "lake")))
    assert view.table.img_ids.tolist() == list(range(700))
    wanted = content(tmp_path / "both")
    rows = [0, 299, 300, 555, 699]
    assert [bytes(cell) for cell in view.cell_reader().get_bytes(rows)] == [wanted[r]["images"] for r in rows]


def test_classes_go_by_name(coco, yolo, tmp_path):
    take(coco([1, 2]), tmp_path / "lake")
    root = yolo({"x": "0 .5 .5 .5 .5\n1 .5 .5 .25 .25\n"}, "[b, a]")
    summary = add(root, tmp_path / "lake")
    assert content(tmp_path / "lake")[2]["labels"] == [1, 0]
    assert summary.class_counts == {"a": 1, "b": 1}
    before = state(tmp_path / "lake")
    other = yolo({"y": "0 .5 .5 .5 .5\n1 .5 .5 .25 .25\n"}, "[b, aa]", "other")
    with pytest.raises(ConfigError, match=r"no class 'aa' \(did you mean 'a'\?\).*--map old=new.*--classes"):
        add(other, tmp_path / "lake")
    assert state(tmp_path / "lake") == before
    assert add(other, tmp_path / "lake", map={"aa": "a"}).boxes == 2
    third = yolo({"z": "0 .5 .5 .5 .5\n1 .5 .5 .25 .25\n"}, "[b, aa]", "third")
    summary = add(third, tmp_path / "lake", classes=["b"])
    assert (summary.boxes, summary.refusals.counts["box", "class is not in the class list"]) == (1, 1)
    assert [row["labels"] for row in content(tmp_path / "lake")[3:]] == [[1, 0], [1]]


def test_what_the_source_lacks_is_filled(coco, yolo, tmp_path):
    take(coco([7, 9], with_masks), tmp_path / "lake")
    triangle = "0 0 0 .5 0 0 .5"
    summary = add(yolo({"x": f"1 .5 .5 .5 .5\n{triangle}\n", "y": ""}), tmp_path / "lake")
    assert summary.rows == 4
    old, new, empty = content(tmp_path / "lake")[1:]
    assert set(new) == set(old)
    assert (new["image_id"], empty["image_id"], new["annotation_ids"]) == (10, 11, [91, 92])
    assert (new["iscrowds"], empty["iscrowds"]) == ([0, 0], [])
    assert new["areas"][0] == WIDTH * HEIGHT / 4
    assert 0 < new["areas"][1] < WIDTH * HEIGHT / 4  # of the triangle, not of its box
    assert json.loads(new["segmentations"]) == [None, [[0, 0, WIDTH / 2, 0, 0, HEIGHT / 2]]]
    assert open_view(Source(str(tmp_path / "lake"))).table.img_ids.tolist() == [7, 9, 10, 11]


def test_what_the_lake_cannot_hold_is_told(coco, yolo, tmp_path):
    add_to = tmp_path / "lake"
    import_yolo(yolo({"x": "0 .5 .5 .5 .5"}), add_to, progress=False)

    def change(data):
        with_masks(data)
        data["annotations"][0]["iscrowd"] = 1

    summary = take(coco([1, 2], change), add_to, append=True)
    assert [row["labels"] for row in content(add_to)] == [[0], [], [0]]
    assert summary.refusals.counts == {
        ("box", "object has a flag that the lake has no column for (iscrowds)"): 1
    }
    assert (summary.boxes, summary.emptied_images) == (1, 1)
    assert summary.changes.counts == {("mask", "masks are left out, as the lake has no column for them"): 1}
    assert "no column for it: annotation_ids, areas, image_id" in "\n".join(summary.notes)


def test_boxes_are_brought_into_the_lakes_format(coco, tmp_path, make_image):
    root = tmp_path / "voc"
    root.mkdir()
    box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>10</xmax><ymax>20</ymax></bndbox>"
    (root / "v.xml").write_text(f"<annotation><object><name>b</name>{box}</object></annotation>")
    (root / "v.jpg").write_bytes(make_image(seed=55))
    take(coco([1]), tmp_path / "lake")
    import_voc(root, tmp_path / "lake", append=True, progress=False)
    assert content(tmp_path / "lake")[1]["boxes"] == [[2, 3, 7, 16]]
    import_voc(root, tmp_path / "second", classes=["a", "b"], progress=False)
    take(coco([1]), tmp_path / "second", append=True)
    assert content(tmp_path / "second")[1]["boxes"] == [[1, 2, 4.5, 6]]
    assert content(tmp_path / "second")[0]["difficults"] == [0]


def test_the_same_images_are_refused_and_others_of_their_name_told(coco, tmp_path):
    take(coco([1, 2, 3]), tmp_path / "lake")
    before = state(tmp_path / "lake")
    with pytest.raises(AnnotationError, match=r"None of the 3 .*in the lake already: 3.*lake is as it was"):
        take(coco([1, 2, 3]), tmp_path / "lake", append=True)
    assert state(tmp_path / "lake") == before

    def change(data):
        data["images"][1]["id"] = data["annotations"][1]["image_id"] = 17
        data["annotations"][1]["id"] = 170

    root = coco([2, 3, 4], change, "other")
    shutil.copy(root / "4.jpg", root / "3.jpg")  # another image now
    summary = take(root, tmp_path / "lake", append=True)
    assert [(one.reason, one.detail) for one in summary.refused] == [
        ("image is in the lake already", "row 1")
    ]
    assert summary.changes.counts == {("image", "file name is that of another image in the lake"): 1}
    assert [row["image_id"] for row in content(tmp_path / "lake")] == [1, 2, 3, 17, 4]


def test_ids_stay_unique(coco, tmp_path):
    take(coco([1, 2]), tmp_path / "lake")

    def rename(data):
        for number, image in enumerate(data["images"]):
            image["file_name"] = f"new{number}.jpg"

    root = coco([2, 5], rename, "other")
    for number, name in enumerate(("2.jpg", "5.jpg")):
        (root / name).rename(root / f"new{number}.jpg")
    summary = take(root, tmp_path / "lake", append=True)
    rows = content(tmp_path / "lake")
    assert [row["image_id"] for row in rows] == [1, 2, 6, 5]
    assert [row["annotation_ids"] for row in rows] == [[10], [20], [51], [50]]
    assert summary.changes.counts == {
        ("image", "image id is taken in the lake; another is given"): 1,
        ("box", "annotation id is taken in the lake; another is given"): 1,
    }
    assert [one.detail for one in summary.changes.kept] == ["2, now 6", "20, now 51"]


def test_ids_that_are_texts(coco, tmp_path):
    def texts(prefix):
        def change(data):
            for image in data["images"]:
                image["id"] = f"{prefix}{image['id']}"
            for one in data["annotations"]:
                one["image_id"], one["id"] = f"{prefix}{one['image_id']}", f"{prefix}{one['id']}"

        return change

    take(coco([1, 2], texts("p")), tmp_path / "lake")
    take(coco([3], texts("q"), "other"), tmp_path / "lake", append=True)
    take(coco([4], None, "third"), tmp_path / "lake", append=True)
    rows = content(tmp_path / "lake")
    assert [json.loads(row["image_source_id"]) for row in rows] == ["p1", "p2", "q3", 4]
    assert [row["image_id"] for row in rows] == [1, 2, 3, 5]  # they only count
    before = state(tmp_path / "lake")
    root = coco([1], texts("p"), "fourth")
    (root / "1.jpg").write_bytes(
        (root / "1.jpg").read_bytes() + b"\0"
    )  # another file of the same name and id
    with pytest.raises(
        AnnotationError, match=r"None of the 1 images .*image id is that of another image in the lake"
    ):
        take(root, tmp_path / "lake", append=True)
    assert state(tmp_path / "lake") == before


def test_kinds_of_images(coco, tmp_path):
    take(coco([1], encoding="png"), tmp_path / "png")
    summary = take(coco([2], folder="other"), tmp_path / "png", append=True)
    assert summary.changes.counts == {("image", "JPEG converted to PNG without loss"): 1}
    assert {row["images"][:4] for row in content(tmp_path / "png")} == {b"\x89PNG"}
    take(coco([1], folder="fourth"), tmp_path / "jpeg")
    take(coco([2], folder="fifth", encoding="png"), tmp_path / "jpeg", append=True)
    image = content(tmp_path / "jpeg")[1]["images"]
    png = (tmp_path / "fifth/2.jpg").read_bytes()
    assert image[:3] == b"\xff\xd8\xff"
    view = open_view(Source(str(tmp_path / "jpeg")))
    assert (view.table.widths.tolist(), view.table.heights.tolist()) == ([WIDTH] * 2, [HEIGHT] * 2)
    shown = [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for data in (bytes(view.cell_reader().get_bytes([1])[0]), png)
    ]
    assert shown[0] is None or np.array_equal(*shown)
    with pytest.raises(AnnotationError, match="None of the 1 images"):
        take(coco([3], folder="third"), tmp_path / "png", append=True, convert="never")
    with pytest.raises(ConfigError, match="convert"):
        take(coco([3], folder="third"), tmp_path / "png", append=True, convert="maybe")


def test_turned_images_in_a_lake_without_any(coco, yolo, tmp_path):
    take(coco([1]), tmp_path / "lake", verify="header")
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(out, "jpeg", exif=exif)
    root = yolo({"x": "0 .5 .5 .5 .5"})
    (root / "x.jpg").write_bytes(out.getvalue())
    add(root, tmp_path / "lake", verify="none")
    view = open_view(Source(str(tmp_path / "lake")))
    assert (view.table.widths.tolist(), view.table.heights.tolist()) == ([WIDTH, 20], [HEIGHT, 40])
    assert view.table.turned.tolist() == [False, True]
    assert content(tmp_path / "lake")[1]["boxes"] == [[5, 10, 10, 20]]


def test_wrong_targets(coco, tmp_path, capsys):
    root = coco([1])
    with pytest.raises(ImportRefusedError, match="no lake of format v4 to append to"):
        take(root, tmp_path / "none", append=True)
    take(root, tmp_path / "lake")
    with pytest.raises(ConfigError, match="both set"):
        take(root, tmp_path / "lake", append=True, overwrite=True)
    own = deeplake.create(str(tmp_path / "own"))
    own.add_column("image", deeplake.types.Image())
    own.commit()
    with pytest.raises(ImportRefusedError, match="has no column images"):
        take(root, tmp_path / "own", append=True)
    more = deeplake.open(str(tmp_path / "lake"))
    more.add_column("weather", "text")
    more.commit()
    with pytest.raises(ImportRefusedError, match="what to put into its columns weather"):
        take(root, tmp_path / "lake", append=True)
    command = ["import", "coco", str(root / "all.json"), str(tmp_path / "none"), "--images", str(root)]
    assert main([*command, "--append"]) == 1
    assert "no lake of format v4 to append to" in capsys.readouterr().err


def test_a_failure_on_the_way_leaves_the_lake_as_it_was(coco, tmp_path, monkeypatch):
    from deeplake_mmdet.transfer import importing

    take(coco(range(3)), tmp_path / "lake")
    before, old = state(tmp_path / "lake"), content(tmp_path / "lake")
    root = coco(range(10, 900), folder="other")
    sound = importing.Taker.take

    def failing(self, planned):
        if planned.path.name == "800.jpg":
            raise KeyboardInterrupt
        return sound(self, planned)

    with monkeypatch.context() as patch:
        patch.setattr(importing.Taker, "take", failing)
        with pytest.raises(KeyboardInterrupt):
            take(root, tmp_path / "lake", append=True)
    assert state(tmp_path / "lake") == before
    assert content(tmp_path / "lake") == old
    assert take(root, tmp_path / "lake", append=True).rows == 893


def test_two_at_once_are_both_in_the_lake(coco, tmp_path):
    from deeplake_mmdet.transfer.appending import open_appending

    take(coco([1]), tmp_path / "lake")
    other = coco([3], folder="other")
    slow = open_appending(tmp_path / "lake", True, False, None)
    take(coco([2], folder="third"), tmp_path / "lake", append=True)
    writer = slow.writer(
        "", class_names=["a", "b"], box_format="ltwh", source="coco",
        optional_columns=["image_id", "areas", "iscrowds", "annotation_ids"],
    )  # fmt: skip
    row = content(tmp_path / "lake")[0]
    from deeplake_mmdet.lake import ImageRecord

    with writer:
        arrays = {
            name: np.array(row[name]) for name in ("areas", "iscrowds", "annotation_ids", "boxes", "labels")
        }
        image = (other / "3.jpg").read_bytes()
        writer.append(ImageRecord(image, WIDTH, HEIGHT, "3.jpg", image_id=3, **arrays))
    assert sorted(one["file_name"] for one in content(tmp_path / "lake")) == ["1.jpg", "2.jpg", "3.jpg"]


def with_more(data):
    data["info"] = {"of": data["images"][0]["file_name"]}
    for image, one in zip(data["images"], data["annotations"], strict=True):
        image["camera"], one["occluded"] = {"id": image["id"]}, bool(image["id"] % 2)


def test_what_nothing_reads_is_kept_where_the_lake_keeps_such(coco, yolo, tmp_path):
    first = coco([1, 2], with_more)
    take(first, tmp_path / "lake")
    summary = take(coco([3, 4], with_more, "second"), tmp_path / "lake", append=True)
    notes = "\n".join(summary.notes)
    assert "Kept for 'export coco', and used by nothing else: annotations.occluded, images.camera" in notes
    assert "Left out, as the lake keeps no more of it: info" in notes
    take(coco([5], None, "third"), tmp_path / "lake", append=True)
    add(yolo({"x": "0 .5 .5 .5 .5"}), tmp_path / "lake")
    export_coco(tmp_path / "lake", tmp_path / "out", progress=False)
    (found,) = tmp_path.glob("out/**/*.json")
    data = json.loads(found.read_text())
    assert data["info"] == {"of": "1.jpg"}
    cameras = {image["id"]: image.get("camera") for image in data["images"]}
    assert cameras == {**{n: {"id": n} for n in range(1, 5)}, 5: None, 6: None}
    assert [one.get("occluded") for one in data["annotations"]] == [True, False, True, False, None, None]
    take(coco([1], None, "plain"), tmp_path / "bare")
    summary = take(coco([2], with_more, "fourth"), tmp_path / "bare", append=True)
    lost = "Left out, as the lake keeps no more of it: annotations.occluded, images.camera, info"
    assert lost in "\n".join(summary.notes)


def test_yolo_comes_back(yolo, tmp_path):
    root = yolo({"x": "0 0.1 0.1 0.9 0.1 0.5 0.9\n1 0.5 0.5 0.2 0.4\n", "y": ""})
    import_yolo(root, tmp_path / "lake", progress=False)
    export_yolo(tmp_path / "lake", tmp_path / "out", progress=False)
    (written,) = tmp_path.glob("out/*.yaml")
    import_yolo(written, tmp_path / "again", progress=False)
    ours, theirs = content(tmp_path / "lake"), content(tmp_path / "again")
    assert [row["labels"] for row in ours] == [row["labels"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one["images"] == other["images"]
        np.testing.assert_allclose(one["boxes"], other["boxes"], atol=1e-3)


SCRIPT = """
import sys
from deeplake_mmdet.transfer import import_coco
root, lake = sys.argv[1:]
print("go", flush=True)
import_coco(f"{root}/all.json", lake, images=root, append=True, progress=False)
print("done", flush=True)
"""


def test_an_address(coco, tmp_path):
    pytest.importorskip("moto.server")
    import boto3

    with s3_endpoint() as endpoint:
        boto3.client(
            "s3", endpoint_url=endpoint.url, region_name="us-east-1",
            aws_access_key_id=endpoint.creds["aws_access_key_id"],
            aws_secret_access_key=endpoint.creds["aws_secret_access_key"],
        ).create_bucket(Bucket="appended")  # fmt: skip
        url, creds = "s3://appended/lake", dict(endpoint.creds)
        take(coco(range(3)), url, creds=creds)
        with pytest.raises(AnnotationError, match="lake is as it was"):
            take(coco(range(3)), url, creds=creds, append=True)
        assert take(coco(range(3, 300)), url, creds=creds, append=True).rows == 300
        ds = deeplake.open_read_only(url, creds=creds)
        assert sorted(ds["image_id"][:].tolist()) == list(range(300))
        assert list(ds.branches.names()) == ["main"]
        with pytest.raises(ImportRefusedError, match="no lake of format v4 to append to"):
            take(coco([1]), "s3://appended/none", creds=creds, append=True)


DISK = """
import sys
from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.transfer import import_coco
root, lake = sys.argv[1:]
import_coco(f"{root}/few.json", lake, images=root, progress=False)
try:
    import_coco(f"{root}/all.json", lake, images=root, append=True, progress=False)
    print("written")
except StorageError as error:
    print("refused", error)
import deeplake
opened = deeplake.open_read_only(lake)
print(len([opened["images"].get_bytes(row) for row in range(len(opened))]), len(opened.history))
"""


@pytest.mark.parametrize("room", ["600k"])
def test_a_disk_that_is_full(coco, tmp_path, room):
    root = coco(range(10, 500))
    data = json.loads((root / "all.json").read_text())
    few = {**data, "images": data["images"][:3], "annotations": data["annotations"][:3]}
    (root / "few.json").write_text(json.dumps(few))
    rest = {**data, "images": data["images"][3:], "annotations": data["annotations"][3:]}
    (root / "all.json").write_text(json.dumps(rest))
    (tmp_path / "disk").mkdir()
    command = f'mount -t tmpfs -o size={room} tmpfs "$3" && exec "$0" -c "$1" "$2" "$3/lake"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, sys.executable, DISK, str(root), str(tmp_path / "disk")],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "DEEPLAKE_MMDET_DEADLINE": "2"},
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("this user may not mount a small disk")
    assert done.returncode == 0, done.stderr[-2000:]
    told, left = done.stdout.splitlines()
    assert told.startswith("refused"), told
    assert "MiB are free on that disk" in told
    assert left == "3 3"


def test_killed_at_random_moments(coco, tmp_path):
    take(coco(range(3)), tmp_path / "first")
    root = coco(range(10, 410), folder="other")
    base, old = state(tmp_path / "first"), content(tmp_path / "first")
    took, outcomes = 0.3, []
    draw = random.Random(0)
    for kill in range(5):
        lake = tmp_path / f"lake{kill}"
        shutil.copytree(tmp_path / "first", lake)
        command = [sys.executable, "-c", SCRIPT, str(root), str(lake)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "go\n"
            start = time.monotonic()
            if kill:
                time.sleep(draw.random() * took)
                process.kill()
            process.wait()
            if not kill:
                took = time.monotonic() - start
        rows, version, history, branches = state(lake)
        outcomes.append(rows)
        assert content(lake)[:3] == old
        if rows == 3:
            assert (version, history) == base[1:3]
            left = [name for name in branches if name != "main"]
            summary = take(root, lake, append=True)
            assert [note for note in summary.notes if "Removed what" in note] == [
                f"Removed what an interrupted import had left: branch {name}" for name in left
            ]
            assert state(lake)[3] == ["main"]
        assert len(content(lake)) == 403
    assert outcomes[0] == 403
    assert 3 in outcomes
