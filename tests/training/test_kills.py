"""Runs that are killed, interrupted, or whose disk or workers fail: what is left, and how they go on."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from counting import Diary, passes, recording_config, rows_of
from mmengine.runner import Runner

from deeplake_mmdet import train
from deeplake_mmdet.config import fast_loaders
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ProcessError
from deeplake_mmdet.training.resume.checkpoints import newest_checkpoint

ROWS = 10
KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"
ALL = [list(range(ROWS))] * 3


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("lakes") / "ten"
    write_demo_lake(path, count=ROWS, seed=0)
    return str(path)


@pytest.fixture(scope="module")
def ended(lake: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ended") / "run"
    train(recording_config(lake, folder))
    return folder


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    """Ends workers that hang: torch waits for them whenever their loader is collected, in some other test."""
    yield
    for worker in multiprocessing.active_children():
        worker.terminate()


@pytest.mark.slow
@pytest.mark.skipif(not KILLS.is_file(), reason="the benchmarks are not here")
def test_no_row_is_lost_or_doubled_by_kills_at_random_moments(tmp_path):
    summary = tmp_path / "summary.json"
    command = [sys.executable, str(KILLS), "--kills", "5", "--worker-kills", "5", "--out", str(summary)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(summary.read_text())
    for kind in ("training", "workers"):
        assert sum(told[kind]["kills"].values()) == 5
        assert told[kind]["complete_runs"] >= 1


@pytest.mark.parametrize("iterations", [False, True], ids=["epochs", "iterations"])
def test_a_dead_worker_is_one_clear_error(lake, tmp_path, iterations):
    cfg = recording_config(lake, tmp_path / "run", iterations=iterations, mode="processes")
    steps = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [*steps[:-1], {"type": "KillWorker", "row": 7}, steps[-1]]
    start = time.monotonic()
    with pytest.raises(ProcessError, match=r"Worker [01] of the 2 .* was killed by SIGKILL") as caught:
        train(cfg)
    assert "memory" in str(caught.value)
    assert time.monotonic() - start < 60
    train(recording_config(lake, tmp_path / "run", iterations=iterations, mode="processes"), resume=True)
    assert passes(rows_of(tmp_path / "run" / "iter_9.pth"), ROWS) == ALL


def test_ctrl_c_while_a_checkpoint_is_written_is_no_error(lake, tmp_path, monkeypatch):
    def formatting(*args, **options):
        try:
            raise KeyboardInterrupt
        except BaseException:  # as MMEngine does around the formatting of a config
            raise SyntaxError("Failed to format the config file")  # noqa: B904

    monkeypatch.setattr(Runner, "save_checkpoint", formatting)
    with pytest.raises(KeyboardInterrupt):
        train(recording_config(lake, tmp_path / "run"))
    assert newest_checkpoint(tmp_path / "run") is None


@pytest.mark.parametrize("fast", ["processes", "off"])
def test_a_worker_that_sends_nothing_is_given_up(lake, tmp_path, fast):
    cfg = recording_config(lake, tmp_path / "run", mode=fast)
    steps = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [*steps[:-1], {"type": "Hang", "row": 7}, steps[-1]]
    cfg.train_dataloader.timeout = 3
    start = time.monotonic()
    with pytest.raises(ProcessError, match="no batch for 3 s") as caught:
        train(cfg)
    assert "--resume" in str(caught.value)
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("fast", ["processes", "off"])
def test_every_loader_with_workers_has_a_timeout(lake, tmp_path, monkeypatch, fast):
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "7")
    cfg = recording_config(lake, tmp_path / "run", mode=fast)
    cfg.val_dataloader.num_workers = 1
    cfg.train_dataloader.num_workers = 0
    cfg.train_dataloader.timeout = 5  # which torch refuses without workers
    loaders = fast_loaders(cfg)
    assert loaders["val_dataloader"]["timeout"] >= 4 * 7
    assert "timeout" not in loaders["train_dataloader"]


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_ctrl_c_ends_a_run_that_can_be_resumed(lake, tmp_path, mode):
    cfg = recording_config(lake, tmp_path / "run", mode=mode)
    cfg.custom_hooks = [{"type": "Trouble", "at": 5, "how": "SIGINT"}]
    with pytest.raises(KeyboardInterrupt):
        train(cfg)
    train(recording_config(lake, tmp_path / "run", mode=mode), resume=True)
    assert passes(rows_of(tmp_path / "run" / "iter_9.pth"), ROWS) == ALL
    assert Diary.events[str(tmp_path / "run")][1][:3] == ("step", 1, 5)


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from counting import recording_config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from deeplake_mmdet import train
from deeplake_mmdet.config import fast_loaders
train(recording_config({lake!r}, {run!r}, mode="processes", **{{"train_cfg.max_epochs": 1000}}))
"""


def test_ctrl_c_at_the_terminal_reaches_workers_too(lake, tmp_path):
    run = tmp_path / "run"
    code = SCRIPT.format(folder=str(Path(__file__).parent), lake=lake, run=str(run))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 200
    while not (run / "iter_4.pth").exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors  # in the midst of a checkpoint MMEngine makes another error of it
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        os.killpg(process.pid, 0)
    train(recording_config(lake, run, **{"train_cfg.max_epochs": 4}), resume=True)
    assert passes(rows_of(run / "iter_12.pth"), ROWS) == [*ALL, list(range(ROWS))]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(lake, tmp_path):
    cfg = recording_config(lake, tmp_path / "run")
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    cfg.custom_hooks = [{"type": "FailingSave", "at": 5}]
    with pytest.raises(OSError, match="No space"):
        train(cfg)
    assert [path.name for path in (tmp_path / "run").glob("*.pth*")] == ["iter_4.pth"]
    train(recording_config(lake, tmp_path / "run"), resume=True)
    assert passes(rows_of(tmp_path / "run" / "iter_9.pth"), ROWS) == ALL


def test_as_many_checkpoints_are_kept_as_asked_for(lake, tmp_path):
    cfg = recording_config(lake, tmp_path / "run")
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    train(cfg)
    assert sorted(path.name for path in (tmp_path / "run").glob("*.pth*")) == ["iter_8.pth", "iter_9.pth"]
    assert (tmp_path / "run" / "last_checkpoint").read_text() == str(tmp_path / "run" / "iter_9.pth")


def broken(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        del data[len(data) // 2 :]
    elif how == "bit":
        data[len(data) // 2] ^= 4
    elif how == "empty":
        data.clear()
    path.write_bytes(data)
    if how == "gone":
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "bit", "empty", "gone"])
def test_the_newest_checkpoint_that_can_be_read_is_resumed_from(ended, lake, tmp_path, how):
    folder = tmp_path / "run"
    shutil.copytree(ended, folder)
    for number, path in enumerate(sorted(folder.glob("iter_*.pth"))):
        os.utime(path, (1000 + number, 1000 + number))
    (folder / "last_checkpoint").write_text(str(folder / "iter_9.pth"))
    for name in ("iter_9.pth", "iter_8.pth"):
        broken(folder / name, how)
    assert newest_checkpoint(folder) == folder / "iter_7.pth"
    Diary.events.clear()
    train(recording_config(lake, folder), resume=True)
    assert rows_of(folder / "iter_9.pth") == rows_of(ended / "iter_9.pth")
    assert [event[2] for event in Diary.events[str(folder)] if event[0] == "step"] == [7, 8]


def test_an_empty_pointer_or_folder(ended, tmp_path):
    assert newest_checkpoint(tmp_path) is None
    shutil.copytree(ended, tmp_path / "run")
    (tmp_path / "run" / "last_checkpoint").write_text("")
    os.utime(tmp_path / "run" / "iter_6.pth", (2**31, 2**31))
    assert newest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_6.pth"


def test_resuming_an_empty_folder_begins(lake, tmp_path):
    train(recording_config(lake, tmp_path / "run"), resume=True)
    assert passes(rows_of(tmp_path / "run" / "iter_9.pth"), ROWS) == ALL
