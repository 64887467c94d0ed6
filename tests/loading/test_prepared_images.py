"""Prepared images change nothing but the time: the same samples, whatever happens to the files."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest
from drawn_lakes import FLIPPED, HEAVY, LIGHT, LOAD, MIXED, PACK, fingerprints, lake_dataset, loader_of
from mmdet.registry import DATASETS

from deeplake_mmdet.prepared.places import prepared_folders
from deeplake_mmdet.prepared.store import PreparedImages

ROOM = "40MB"
SHAPED = [*LOAD, {"type": "Resize", "scale": (50, 30), "keep_ratio": False}, *PACK]


def dataset_of(lake: Path, pipeline: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    if pipeline is MIXED:
        inner = lake_dataset(lake, LOAD, **options)
        return {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": MIXED}
    return lake_dataset(lake, pipeline, **options)


def store_of(loader: Any) -> PreparedImages:
    found = loader.dataset.lakes[0].prepared
    assert found is not None
    return found


def loaded(lake: Path, folder: Path, size: str = ROOM, **options: Any) -> Any:
    dataset = lake_dataset(lake, LIGHT, prepared={"size": size, "folder": str(folder)})
    return loader_of(dataset, options.pop("mode", "threads"), options.pop("workers", 0), **options)


@pytest.fixture(scope="module")
def expected(lake: Path) -> list[str]:
    return fingerprints(loader_of(lake_dataset(lake, LIGHT), "threads", 0), (0, 1))


@pytest.mark.parametrize(("mode", "workers"), [("threads", 0), ("threads", 2), ("processes", 2)])
@pytest.mark.parametrize(
    "pipeline",
    [LIGHT, HEAVY, FLIPPED, MIXED, SHAPED, [*LOAD, *PACK]],
    ids=["light", "heavy", "flipped", "mixed", "shaped", "packed"],
)
def test_samples_are_the_same_in_every_pass(lake, tmp_path, pipeline, mode, workers):
    plain = loader_of(dataset_of(lake, pipeline), "threads", 0)
    settings = {"size": ROOM, "folder": str(tmp_path)}
    ours = loader_of(dataset_of(lake, pipeline, prepared=settings), mode, workers)
    passes = (0, 1)
    assert fingerprints(ours, passes) == fingerprints(plain, passes)
    assert store_of(ours).count == len(rows_used(ours))
    ours.dataset.close()


def rows_used(loader: Any) -> Any:
    return np.unique(loader.dataset.lakes[0].data_list.rows)


def test_a_second_run_reads_no_image_of_the_lake(lake, tmp_path, expected, monkeypatch):
    fingerprints(loaded(lake, tmp_path))
    monkeypatch.setenv("DEEPLAKE_MMDET_STATS", "1")
    again = loaded(lake, tmp_path)
    assert fingerprints(again, (0, 1)) == expected
    stages = again.dataset.statistics.read()
    assert stages["fetch"].images == stages["decode"].images == 0
    assert stages["prepared"].images == 2 * len(again.dataset)


def test_a_small_budget_keeps_the_same_part_of_the_rows(lake, tmp_path, expected, monkeypatch):
    monkeypatch.setenv("DEEPLAKE_MMDET_STATS", "1")
    whole = store_of(loaded(lake, tmp_path / "whole")).bytes
    loader = loaded(lake, tmp_path / "half", f"{whole // 2}b")
    assert fingerprints(loader, (0, 1)) == expected
    store = store_of(loader)
    kept = np.flatnonzero(store.has(np.arange(len(store))))
    assert 0.3 * len(store) < len(kept) <= 0.55 * len(store)
    assert store.bytes <= whole // 2
    assert sum(place.bytes for place in prepared_folders(tmp_path / "half")) <= whole // 2 + 2 * 4096
    assert loader.dataset.statistics.read()["prepared"].images == len(kept)
    del loader, store
    again = store_of(loaded(lake, tmp_path / "half", f"{whole // 2}b"))
    assert again.count == len(kept)


def test_the_oldest_make_room_and_those_in_use_stay(lake, tmp_path):
    def filled(pipeline: list[dict[str, Any]], size: int) -> PreparedImages:
        settings = {"size": size, "folder": str(tmp_path)}
        dataset = DATASETS.build(lake_dataset(lake, pipeline, prepared=settings))
        for index in range(len(dataset)):
            dataset[index]
        return dataset.prepared

    first = filled([*LOAD, *PACK], 10**9)
    size, folder = first.bytes, first.folder
    second = filled(LIGHT, size)
    assert folder.exists()
    assert second.count == 0, "the first one is in use and takes all the room"
    del first, second
    third = filled(LIGHT, size)
    assert not folder.exists()
    assert third.count > 0
    assert sum(place.planned for place in prepared_folders(tmp_path)) <= size


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_damaged_pixels_are_made_again(lake, tmp_path, expected, mode):
    fingerprints(loaded(lake, tmp_path))
    draw = random.Random(3)
    (place,) = prepared_folders(tmp_path)
    path = place.folder / "pixels"
    before = path.read_bytes()
    for _ in range(4 if mode == "processes" else 12):
        content = bytearray(before)
        for _ in range(draw.randint(1, 4)):
            start = draw.randrange(len(content))
            content[start : start + draw.choice([1, 8, 5000])] = bytes([draw.randrange(256)])
        path.write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
        loader = loaded(lake, tmp_path, mode=mode, workers=2)
        assert fingerprints(loader, (0, 1)) == expected
        del loader


def test_damaged_marks_are_made_again(lake, tmp_path, expected):
    fingerprints(loaded(lake, tmp_path))
    (place,) = prepared_folders(tmp_path)
    path = place.folder / "marks"
    content = bytearray(path.read_bytes())
    for start in range(0, len(content), 3):
        content[start] ^= 0x55
    for found in (content, content[:-5], b""):
        path.write_bytes(bytes(found))
        loader = loaded(lake, tmp_path)
        assert fingerprints(loader, (0, 1)) == expected
        del loader


def test_a_pipeline_that_a_hook_exchanges_gets_its_own_images(lake, tmp_path):
    dataset = DATASETS.build(lake_dataset(lake, LIGHT, prepared={"size": ROOM, "folder": str(tmp_path)}))
    other = DATASETS.build(lake_dataset(lake, SHAPED))
    shapes = {tuple(dataset[index]["inputs"].shape[1:]) for index in range(4)}
    dataset.pipeline = other.pipeline
    assert {tuple(dataset[index]["inputs"].shape[1:]) for index in range(4)} == {(30, 50)} != shapes
    assert len(prepared_folders(tmp_path)) == 2


def test_a_pipeline_that_keeps_nothing_is_named(lake, tmp_path, caplog):
    loading = [{"type": "LoadImageFromFile", "to_float32": True}, LOAD[1]]
    dataset = lake_dataset(lake, [*loading, *PACK], prepared={"size": ROOM, "folder": str(tmp_path)})
    plain = loader_of(lake_dataset(lake, [*loading, *PACK]), "threads", 0)
    ours = loader_of(dataset, "threads", 0)
    assert ours.dataset.lakes[0].prepared is None
    assert fingerprints(ours) == fingerprints(plain)
    assert not prepared_folders(tmp_path)


def test_sizes_that_the_pixels_belie_are_not_kept(lake, tmp_path):
    other = tmp_path / "lake"
    shutil.copytree(lake, other)
    opened = deeplake.open(str(other))
    for row in range(0, len(opened), 2):
        opened["width"][row] = opened["width"][row] + 3
    opened.commit("wrong widths")
    folder = tmp_path / "prepared"
    plain, ours = (
        loader_of(lake_dataset(other, LIGHT, **options), "threads", 0)
        for options in ({}, {"prepared": {"size": ROOM, "folder": str(folder)}})
    )
    assert fingerprints(ours, (0, 1)) == fingerprints(plain, (0, 1))


def test_another_process_gets_them_by_pickle(lake, tmp_path):
    dataset = DATASETS.build(lake_dataset(lake, LIGHT, prepared={"size": ROOM, "folder": str(tmp_path)}))
    for index in range(len(dataset)):
        dataset[index]
    text = pickle.dumps(dataset.prepared)
    script = "import deeplake_mmdet, pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).count)"
    done = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, check=True)
    assert int(done.stdout.split()[-1]) == len(dataset)


def fill(lake: Path, folder: Path, mode: str) -> None:
    os.setsid()  # worker processes are killed with it
    fingerprints(loaded(lake, folder, mode=mode, workers=2), range(1000))


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_a_killed_writer_leaves_no_wrong_image(lake, tmp_path, expected, mode):
    draw = random.Random(0)
    kills = 100 if os.environ.get("DEEPLAKE_MMDET_LONG_TESTS") else 8
    store_of(loaded(lake, tmp_path / "0"))  # the table is cached: children begin to write at once
    for number in range(kills):
        folder = tmp_path / str(number // 4)
        child = multiprocessing.get_context("fork").Process(target=fill, args=(lake, folder, mode))
        child.start()
        time.sleep(draw.uniform(0.02, 0.3))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.kill()
        child.join()
        assert fingerprints(loaded(lake, folder), (0, 1)) == expected


def tell_prints(lake: Path, folder: Path, mode: str, told: Any) -> None:
    told.send(fingerprints(loaded(lake, folder, mode=mode, workers=2), (0, 1)))


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_two_trainings_fill_one_folder_at_once(lake, tmp_path, expected, mode):
    store_of(loaded(lake, tmp_path / "table"))  # is made once, so that both begin to write at the same time
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in range(2)]
    trainings = [
        fork.Process(target=tell_prints, args=(lake, tmp_path / "both", mode, sender)) for _, sender in pipes
    ]
    for training in trainings:
        training.start()
    told = [receiver.recv() for receiver, _ in pipes if receiver.poll(120)]
    for training in trainings:
        training.join()
    assert told == [expected, expected]
    assert store_of(loaded(lake, tmp_path / "both")).count > 0


SMALL_DISK = """
import sys
sys.path.insert(0, sys.argv[3])
import deeplake_mmdet
from mmengine.registry import init_default_scope
from test_prepared_images import fingerprints, loaded
from pathlib import Path
init_default_scope("mmdet")
print("\\n".join(fingerprints(loaded(Path(sys.argv[1]), Path(sys.argv[2])), (0, 1))))
"""


def test_a_full_disk_ends_the_filling_and_nothing_else(lake, tmp_path, expected):
    arguments = [str(lake), str(tmp_path), str(Path(__file__).parent)]
    command = 'mount -t tmpfs -o size=300k tmpfs "$3" && exec "$0" -W ignore -c "$1" "${@:2}"'
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", command, sys.executable, SMALL_DISK, *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("this user may not mount a small disk")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "No more images are prepared" in done.stderr + done.stdout
    assert done.stdout.splitlines()[-len(expected) :] == expected
