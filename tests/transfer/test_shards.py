"""Shards imported apart and merged are one import, row for row; and nothing that is not whole looks whole."""

import multiprocessing
import signal
import subprocess
import sys
from itertools import pairwise

import deeplake
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet import DeepLakeDataset, export_coco, import_coco, merge
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import AnnotationError, ConfigError, ImportRefusedError, SourceNotFoundError
from deeplake_mmdet.lake import Shard
from s3 import BUCKET, s3_endpoint


def rows(lake, **options):
    """Everything that stands in a lake, column by column, and what its columns' metadata say."""
    ds = deeplake.open_read_only(str(lake), **options)
    columns = {column.name: column for column in ds.schema.columns}
    cells = {name: [repr(ds[name][row]) for row in range(len(ds))] for name in columns if name != "images"}
    cells["images"] = [ds["images"].get_bytes(row) for row in range(len(ds))]
    told = {
        name: {
            key: repr(ds[name].metadata[key])
            for key in sorted(ds[name].metadata.keys())
            if "shard" not in key
        }
        for name in columns
    }
    return cells, told


def facts(lake):
    return dict(deeplake.open_read_only(str(lake)).metadata["deeplake_mmdet"])


@pytest.fixture
def coco(make_coco, make_image):
    """Seven images: one turned by EXIF, a missing one, a PNG among JPEG, one without boxes, oddities."""

    def change(data):
        data["info"] = {"year": 2026, "note": "ü"}
        data["images"][1]["extra"] = {"a": [1, None]}
        data["images"][2]["file_name"] = "2.png"
        data["annotations"][3]["image_id"] = 77  # a stray: image 3 has no box
        data["annotations"][4]["segmentation"] = [[1, 1, 9, 1, 9, 9]]
        data["images"].append({"id": 50, "file_name": "none.jpg", "width": 32, "height": 24})

    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    files = {"2.png": make_image(encoding="png"), "5.jpg": make_image(width=24, height=32, exif=exif)}
    path, images = make_coco(count=6, change=change, files=files)
    return path, images


def take(coco, lake, **options):
    path, images = coco
    return import_coco(path, lake, images=images, progress=False, **options)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_merged_shards_are_one_import(coco, tmp_path, count):
    whole = take(coco, tmp_path / "one")
    parts = [take(coco, tmp_path / "two", shard=(number, count)) for number in reversed(range(count))]
    assert f"shard {count - 1}/{count}" in str(parts[0])
    assert "merge" in parts[0].next_command
    done = merge(tmp_path / "two")
    assert done.rows == whole.images == sum(done.shards) == sum(part.images for part in parts)
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    assert facts(tmp_path / "one") == facts(tmp_path / "two")
    # What was refused and changed is told once.
    assert (
        sum((part.refusals.counts for part in parts), start=type(whole.refusals.counts)())
        == whole.refusals.counts
    )
    assert sum(part.boxes for part in parts) == whole.boxes
    assert list(deeplake.open_read_only(str(tmp_path / "two")).branches.names()) == ["main"]
    for name in ("one", "two"):
        export_coco(tmp_path / name, tmp_path / f"out-{name}", images="none", progress=False)
    texts = [next((tmp_path / f"out-{name}").rglob("*.json")).read_text() for name in ("one", "two")]
    assert texts[0] == texts[1]


def test_a_missing_shard_is_named(coco, tmp_path):
    lake = tmp_path / "lake"
    take(coco, lake, shard="1/3")
    before = rows(lake)
    with pytest.raises(ImportRefusedError, match="2 of 3 shards are missing: 0/3, 2/3"):
        merge(lake)
    assert rows(lake) == before
    with pytest.raises(AnnotationError, match=r"no rows.*merge"):
        DeepLakeDataset(path=str(lake), pipeline=[])
    take(coco, lake, shard="0/3")
    take(coco, lake, shard="2/3")
    merge(lake)
    with pytest.raises(ImportRefusedError, match=r"nothing to merge.*no shards"):
        merge(lake)


def test_what_cannot_be_a_shard(coco, tmp_path, capsys):
    lake = tmp_path / "lake"
    take(coco, lake, shard=(0, 2))
    with pytest.raises(ImportRefusedError, match=r"Shard 0/2 .* already"):
        take(coco, lake, shard=(0, 2))
    with pytest.raises(ConfigError, match="shards is 2 there, 3 here"):
        take(coco, lake, shard=(1, 3))
    with pytest.raises(ConfigError, match="limit is None there, 4 here"):
        take(coco, lake, shard=(1, 2), limit=4)
    with pytest.raises(ConfigError, match="classes is"):
        take(coco, lake, shard=(1, 2), classes=["b"])
    for option in ("append", "overwrite"):
        with pytest.raises(ConfigError, match=f"'{option}' and 'shard'"):
            take(coco, lake, shard=(1, 2), **{option: True})
    with pytest.raises(ImportRefusedError, match="already a lake"):
        take(coco, lake)
    take(coco, tmp_path / "whole")
    with pytest.raises(ImportRefusedError, match="already a lake"):
        take(coco, tmp_path / "whole", shard=(0, 2))
    with pytest.raises(ImportRefusedError, match="nothing to merge"):
        merge(tmp_path / "whole")
    with pytest.raises(SourceNotFoundError, match="no lake"):
        merge(tmp_path / "none")
    (tmp_path / "file").write_text("no lake")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("no lake")
    for other in ("file", "folder"):
        with pytest.raises(ImportRefusedError, match="not a Deep Lake"):
            take(coco, tmp_path / other, shard=(0, 2))
    path, images = coco
    command = ["import", "coco", str(path), str(tmp_path / "c"), "--images", str(images), "--shard"]
    assert main([*command, "2/2"]) == 1
    assert "no shard 2/2" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_shards_without_any_row(coco, tmp_path):
    _, images = coco
    for file in images.iterdir():
        file.write_bytes(b"no image")
    for number in range(2):
        assert take(coco, tmp_path / "lake", shard=(number, 2)).is_mostly_refused
    with pytest.raises(ImportRefusedError, match="No shard has a row"):
        merge(tmp_path / "lake")


def _shard(job):
    coco, lake, shard, creds = job
    take(coco, lake, shard=shard, creds=creds)


def test_several_processes_import_what_one_does(coco, tmp_path, capsys):
    path, images = coco
    command = ["import", "coco", str(path), "--images", str(images)]
    told = []
    for lake, more in (("lake1", []), ("lake2", ["--workers", "2"])):
        assert main([*command, str(tmp_path / lake), *more]) == 0
        told.append(capsys.readouterr().out.replace(lake, "lake").partition(" (")[::2])
    assert rows(tmp_path / "lake1") == rows(tmp_path / "lake2")
    assert told[0][0] == told[1][0]
    assert told[0][1].partition("\n")[2] == told[1][1].partition("\n")[2]
    for wrong in (["--workers", "0"], ["--workers", "2", "--overwrite"]):
        assert main([*command, str(tmp_path / "three"), *wrong]) == 1
        assert "processes" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["local", "s3"])
def test_shards_at_once(coco, tmp_path, where):
    take(coco, tmp_path / "one")
    with s3_endpoint() as endpoint, multiprocessing.get_context("spawn").Pool(4) as pool:
        lake, creds = str(tmp_path / "two"), None
        if where == "s3":
            lake, creds = f"s3://{BUCKET}/shards", endpoint.creds
        pool.map(_shard, [(coco, lake, (number, 4), creds) for number in range(4)], chunksize=1)
        merge(lake, creds=creds)
        assert rows(lake, creds=creds) == rows(tmp_path / "one")


def test_a_killed_shard_is_repeated_alone(coco, tmp_path):
    lake, (path, images) = tmp_path / "two", coco
    take(coco, tmp_path / "one")
    take(coco, lake, shard=(0, 2))
    code = (
        "import os, signal, sys\n"
        "from deeplake_mmdet.lake.writing import shard_target\n"
        "def killed(self, head, rows): os.kill(os.getpid(), signal.SIGKILL)\n"
        "shard_target.ShardTarget._verify = killed\n"
        "from deeplake_mmdet import import_coco\n"
        "import_coco(sys.argv[1], sys.argv[2], images=sys.argv[3], shard='1/2', progress=False)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path), str(lake), str(images)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with pytest.raises(ImportRefusedError, match=r"missing: 1/2.*1 is being written"):
        merge(lake)
    again = take(coco, lake, shard=(1, 2))
    assert any("Removed what an interrupted import had left" in note for note in again.notes)
    merge(lake)
    assert rows(lake) == rows(tmp_path / "one")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**7), st.integers(1, 1000))
def test_spans_divide_everything(total, count):
    spans = [Shard(number, count).span(total) for number in range(count)]
    assert spans[0].start == 0
    assert spans[-1].stop == total
    assert all(one.stop == other.start for one, other in pairwise(spans))
    assert max(map(len, spans)) - min(map(len, spans)) <= 1


@pytest.mark.parametrize(
    ("stated", "variables", "shard"),
    [
        ("0/3", {}, (0, 3)),
        (" 2/3 ", {}, (2, 3)),
        ((1, 2), {}, (1, 2)),
        ([1, 2], {}, (1, 2)),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "5"},
            (2, 4),
        ),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, (3, 4)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (7, 8)),
        ("auto", {"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "2"}, (1, 2)),
        ("auto", {"RANK": "0", "WORLD_SIZE": "2"}, (0, 2)),
        # A job array of Slurm whose tasks are processes of their own.
        ("auto", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_PROCID": "0"}, (1, 2)),
    ],
)
def test_shards_that_users_state(stated, variables, shard):
    assert Shard.read(stated, variables) == shard


@pytest.mark.parametrize(
    ("stated", "variables"),
    [
        ("3/3", {}),
        ("-1/3", {}),
        ("0/0", {}),
        ("1", {}),
        ("a/b", {}),
        ("", {}),
        (None, {}),
        (3, {}),
        ((0, 1.5), {}),
        ((True, 2), {}),
        ((1, 2, 3), {}),
        ("auto", {}),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}),
        ("auto/2", {"JOB_COMPLETION_INDEX": "2"}),
        ("auto", {"RANK": "x", "WORLD_SIZE": "2"}),
    ],
)
def test_what_is_no_shard(stated, variables):
    with pytest.raises(ConfigError, match=r"shard"):
        Shard.read(stated, variables)
