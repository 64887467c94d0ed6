import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.errors import AnnotationError, ConfigError, ImportRefusedError
from deeplake_mmdet.lake.writing import targets
from deeplake_mmdet.lake.writing.writer import ImageRecord, LakeWriter, check_target

SECRET = "do-not-print-me"


def jpeg(seed=0, encoding="jpeg"):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)).save(out, encoding)
    return out.getvalue()


IMAGE = jpeg()


def record(n=2, **changes):
    values = {
        "image": IMAGE,
        "width": 32,
        "height": 24,
        "file_name": "ä.jpg",
        "boxes": np.arange(4.0 * n).reshape(n, 4) / 3,
        "labels": np.zeros(n, int),
    }
    return ImageRecord(**(values | changes))


def writer(path, **changes):
    return LakeWriter(
        str(path), **({"class_names": ["a", "b"], "box_format": "ltwh", "image_format": "jpeg"} | changes)
    )


def write(path, rows=3, **changes):
    with writer(path, **changes) as lake:
        for _ in range(rows):
            lake.append(record())
    return lake


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def fail_midway(path, error, count=300, **changes):
    with writer(path, **changes) as lake:
        for _ in range(count):
            lake.append(record())
        raise error


def rows(path, creds=None):
    import deeplake

    return len(deeplake.open_read_only(str(path), creds=creds))


def test_every_column_comes_back(tmp_path):
    import deeplake
    from deeplake import types

    columns = ["areas", "iscrowds", "difficults", "ignores", "annotation_ids", "image_id", "segmentations"]
    shapes = [[[1.1, 2, 3, 4, 5, 6.7]], {"size": [24, 32], "counts": b"abc"}]
    with writer(
        tmp_path / "lake", optional_columns=columns, category_ids=[9, 2**40], source="coco", message="m"
    ) as w:
        flags = {name: np.array([0, 1]) for name in ("iscrowds", "difficults", "ignores")}
        w.append(
            record(
                areas=np.array([0.1, 1e9 / 3]),
                annotation_ids=np.array([2**53 + 1, -4]),
                image_id=2**60,
                segmentations=shapes,
                **flags,
            )
        )
        none = {name: np.zeros(0) for name in columns[:5]}
        w.append(record(0, image_id=1, segmentations=[], **none))
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert ds["images"].get_bytes(0) == IMAGE
    assert ds.schema["boxes"].dtype == types.BoundingBox("float64", "ltwh", "pixel")
    assert (ds["boxes"][0] == record().boxes).all()
    assert ds["boxes"][1].shape == (0, 4)
    assert [ds[c][0] for c in ("width", "height", "file_name", "image_id")] == [32, 24, "ä.jpg", 2**60]
    assert ds["areas"][0].tolist() == [0.1, 1e9 / 3]
    assert ds["annotation_ids"][0].tolist() == [2**53 + 1, -4]
    for name in flags:
        assert ds[name][0].tolist() == [0, 1]
        assert ds[name][1].shape == (0,)
    assert json.loads(ds["segmentations"][0]) == [shapes[0], {"size": [24, 32], "counts": "abc"}]
    assert ds["segmentations"].metadata["format"] == "coco-json"
    assert ds["labels"].metadata["class_names"] == ["a", "b"]
    assert [ds[name].metadata["format"] for name in ("width", "height")] == ["stored-pixels"] * 2
    assert ds["labels"].metadata["category_ids"] == [9, 2**40]
    assert ds.metadata["deeplake_mmdet"] == {"format": 1, "source": "coco", "complete": True}
    assert [v.message for v in ds.history][-1] == "m"
    assert names(tmp_path) == ["lake"]


def test_many_batches_are_one_commit(tmp_path):
    import deeplake

    write(tmp_path / "lake", rows=600)
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert len(ds) == 600
    assert len(list(ds.history)) == 3  # created, schema, ours


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"boxes": np.zeros((2, 5))}, "shape (n, 4)"),
        ({"boxes": np.full((2, 4), np.nan)}, "finite"),
        ({"labels": np.array([0, -1])}, "Labels"),
        ({"labels": np.array([0, 2])}, "Labels"),
        ({"labels": np.array([0.0, 1.0])}, "Labels"),
        ({"labels": np.array([0])}, "'labels' has shape (1,)"),
        ({"areas": np.zeros(3)}, "'areas' has shape (3,)"),
        ({"areas": None}, "'areas' has no value"),
        ({"image_id": 4}, "no such column"),
        ({"iscrowds": np.array([0, 2])}, "0 and 1"),
        ({"segmentations": [None]}, "1 entries"),
        ({"segmentations": [None, object()]}, "JSON"),
        ({"image": jpeg(encoding="png")}, "not an image of type jpeg"),
        ({"image": b""}, "not an image"),
        ({"width": 0}, "size"),
        ({"exif_turned": 1}, "not 0 or 2 to 8"),
        ({"file_name": ""}, "file name"),
    ],
)
def test_contradictory_records_are_refused(tmp_path, changes, said):
    fields = {"areas": np.zeros(2), "iscrowds": np.zeros(2), "segmentations": [None, None]} | changes
    with (
        pytest.raises(AnnotationError) as caught,
        writer(tmp_path / "lake", optional_columns={"areas", "iscrowds", "segmentations"}) as lake,
    ):
        lake.append(record(**fields))
    assert said in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"box_format": "ccwh"},
        {"image_format": "bmp"},
        {"optional_columns": ["poses"]},
        {"class_names": []},
        {"class_names": ["a", "a"]},
        {"category_ids": [1]},
    ],
)
def test_unsound_arguments_are_refused(tmp_path, changes):
    with pytest.raises(ConfigError):
        writer(tmp_path / "lake", **changes)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, failure):
    with pytest.raises(failure):
        fail_midway(tmp_path / "lake", failure)
    assert names(tmp_path) == []
    write(tmp_path / "lake")


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match="no images"):
        write(tmp_path / "lake", rows=0)
    assert names(tmp_path) == []


def test_a_file_url_and_an_empty_folder_will_do(tmp_path):
    (tmp_path / "lake").mkdir()
    write(f"file://{tmp_path}/lake")
    assert rows(tmp_path / "lake") == 3


def test_an_existing_lake_is_kept_unless_told(tmp_path):
    path = tmp_path / "lake"
    write(path)
    with pytest.raises(ImportRefusedError, match="--overwrite"):
        write(path, rows=5)
    with pytest.raises(ImportRefusedError):
        check_target(str(path))
    with pytest.raises(RuntimeError, match="midway"):
        fail_midway(path, RuntimeError("midway"), 1, overwrite=True)
    assert rows(path) == 3
    write(path, rows=5, overwrite=True)
    assert rows(path) == 5
    assert names(tmp_path) == ["lake"]


def test_a_lake_that_appears_meanwhile_is_kept(tmp_path):
    write(tmp_path / "other", rows=2)
    slow = writer(tmp_path / "lake")
    with pytest.raises(ImportRefusedError), slow:
        slow.append(record()) or (tmp_path / "other").rename(tmp_path / "lake")
    assert rows(tmp_path / "lake") == 2
    assert names(tmp_path) == ["lake"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_a_lake_is_never_touched(tmp_path, overwrite):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/precious").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file"):
        with pytest.raises(ImportRefusedError, match="not a Deep Lake v4 lake"):
            write(tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "folder/precious").exists()
    assert (tmp_path / "file").read_text() == "x"


def test_files_of_others_within_a_lake_stop_an_overwrite(tmp_path):
    write(tmp_path / "lake")
    (tmp_path / "lake/notes.txt").write_text("x")
    with pytest.raises(ImportRefusedError, match=r"notes\.txt"):
        write(tmp_path / "lake", overwrite=True)
    (tmp_path / "lake/notes.txt").unlink()
    write(tmp_path / "lake/inner")
    with pytest.raises(ImportRefusedError, match="inner"):
        write(tmp_path / "lake", overwrite=True)


def test_tags_and_branches_are_part_of_a_lake(tmp_path):
    import deeplake

    write(tmp_path / "lake")
    ds = deeplake.open(str(tmp_path / "lake"))
    ds.query("SELECT * LIMIT 1").tag("t")
    ds.branch("b")
    del ds
    write(tmp_path / "lake", rows=4, overwrite=True)
    assert rows(tmp_path / "lake") == 4


ENDLESS = """
import sys, json
sys.path.insert(0, {here!r})
from test_writer import record, writer
with writer({path!r}, **json.loads({options!r})) as lake:
    while True:
        lake.append(record())
        if lake.rows == 600:
            print("halfway", flush=True)
"""


def killed_import(path, **options):
    code = ENDLESS.format(here=os.path.dirname(__file__), path=str(path), options=json.dumps(options))  # noqa: PTH120
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "halfway\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return process.pid


def test_a_killed_import_leaves_no_lake_and_is_tidied_up(tmp_path):
    pid = killed_import(tmp_path / "lake")
    (left,) = names(tmp_path)
    assert left.startswith(f".lake.importing-{pid}-")
    lake = write(tmp_path / "lake")
    assert left in lake.notes[0]
    assert names(tmp_path) == ["lake"]
    assert rows(tmp_path / "lake") == 3


def test_a_killed_swap_is_put_right(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write(tmp_path / "lake")
    aside = tmp_path / f".lake.replaced-{dead.pid}-{socket.gethostname()}"
    (tmp_path / "lake").rename(aside)
    with pytest.raises(ImportRefusedError):
        write(tmp_path / "lake")
    assert rows(tmp_path / "lake") == 3
    assert names(tmp_path) == ["lake"]


def test_a_running_import_is_left_alone(tmp_path):
    other = tmp_path / f".lake.importing-{os.getppid()}-{socket.gethostname()}"
    other.mkdir()
    with writer(tmp_path / "lake") as first:
        first.append(record())
        assert rows(tmp_path / f".lake.importing-{os.getpid()}-{socket.gethostname()}") == 0
        assert other.exists()


def test_a_lake_is_replaced_in_one_step(tmp_path):
    write(tmp_path / "lake")
    seen = set()
    done = threading.Event()

    def look():
        while not done.is_set():
            seen.add((tmp_path / "lake/_deeplake_log").is_dir())

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            for count in (4, 5, 6):
                write(tmp_path / "lake", rows=count, overwrite=True)
        finally:
            done.set()
        looking.result()
    assert seen == {True}
    assert rows(tmp_path / "lake") == 6
    assert names(tmp_path) == ["lake"]


def test_where_folders_cannot_be_exchanged_the_new_lake_is_a_branch_that_becomes_main(tmp_path, monkeypatch):
    import deeplake

    def refuse(first, second):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    write(tmp_path / "lake")
    monkeypatch.setattr(targets, "exchange", refuse)
    reader = deeplake.open_read_only(str(tmp_path / "lake"))
    with pytest.raises(RuntimeError, match="midway"):
        fail_midway(tmp_path / "lake", RuntimeError("midway"), overwrite=True)
    assert rows(tmp_path / "lake") == 3
    lake = write(tmp_path / "lake", rows=5, overwrite=True)
    assert rows(tmp_path / "lake") == 5
    assert names(tmp_path) == ["lake"]
    assert "replaced-" in lake.notes[-1]
    assert (len(reader), reader["images"].get_bytes(2)) == (3, IMAGE)
