"""One training at a time in a work dir."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest

import deeplake_mmdet
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training import work_dir_lock
from deeplake_mmdet.training.work_dir_lock import LOCK_NAME, WorkDirLock


def hold(folder, answer):
    lock = WorkDirLock(folder)
    lock.take()
    child = os.fork()  # as a loader's worker, which outlives a killed training
    if not child:
        time.sleep(60)
        os._exit(0)
    answer.send((os.getpid(), child))
    time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """A living training of another process; its number."""
    context = multiprocessing.get_context("fork")
    answer, question = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, question))
    process.start()
    numbers = answer.recv()
    yield numbers[0]
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.join()


@pytest.fixture
def told(caplog, monkeypatch):
    """What the lock has said."""
    found = []
    monkeypatch.setattr(caplog.handler, "emit", lambda record: found.append(record.getMessage()))
    with caplog.at_level("INFO", "deeplake_mmdet"):
        yield found


def taken(folder, **options):
    lock = WorkDirLock(folder, **options)
    lock.take()
    return lock


def write(folder, **changes):
    facts = {"host": socket.gethostname(), "process": os.getpid(), "since": "today"}
    (folder / LOCK_NAME).write_text(json.dumps({**facts, **changes}))
    return folder / LOCK_NAME


def test_a_second_training_is_refused_and_told_who_has_it(tmp_path, holder):
    with pytest.raises(
        ConfigError, match=f"process {holder}, host {socket.gethostname()}, since 20"
    ) as caught:
        taken(tmp_path)
    assert LOCK_NAME in str(caught.value)
    assert "--work-dir" in str(caught.value)


def test_the_lock_of_a_killed_training_is_taken_over_at_once(tmp_path, holder, told):
    os.kill(holder, signal.SIGKILL)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            lock = taken(tmp_path)
            break
        except ConfigError:  # until the system has done with it
            time.sleep(0.05)
    assert len(told) == 1
    assert "has died" in told[0]
    assert f"process {holder}" in told[0]
    lock.release()


def test_it_is_given_back_and_can_be_taken_again(tmp_path):
    for _ in range(3):
        lock = taken(tmp_path)
        assert json.loads((tmp_path / LOCK_NAME).read_text())["process"] == os.getpid()
        with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
            taken(tmp_path)  # of another thread, say
        lock.release()
        lock.release()
        assert not list(tmp_path.iterdir())


def test_the_lock_file_follows_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        lock = taken(tmp_path)
        assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600
        lock.release()
    finally:
        os.umask(before)


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"boot": "another machine of this name"}])
def test_a_run_on_another_host_counts_while_it_gives_a_sign_of_life(tmp_path, told, other):
    file = write(tmp_path, **other)
    over = threading.Event()

    def beat():
        while not over.wait(0.2):
            os.utime(file)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(ConfigError, match="Another training"):
            taken(tmp_path, patience=8)
    finally:
        over.set()
        thread.join()
    assert "waiting" in told[0]


def test_a_silent_run_on_another_host_is_taken_over(tmp_path, told):
    write(tmp_path, host="elsewhere")
    lock = taken(tmp_path, patience=1)
    assert [text.partition(":")[0] for text in told] == [
        f"The work dir was locked by process {os.getpid()}, host elsewhere, since today",
        "The work dir is taken over from a run that has died",
    ]
    assert json.loads((tmp_path / LOCK_NAME).read_text())["host"] == socket.gethostname()
    lock.release()


def test_nobody_waits_for_a_run_that_was_silent_for_long(tmp_path, told):
    file = write(tmp_path, host="elsewhere")
    os.utime(file, (time.time() - 3600,) * 2)
    begun = time.monotonic()
    taken(tmp_path).release()
    assert time.monotonic() - begun < 5
    assert len(told) == 1


def test_a_lock_shows_that_it_is_alive(tmp_path):
    lock = taken(tmp_path, beat=0.1)
    before = (tmp_path / LOCK_NAME).stat().st_mtime_ns
    end = time.monotonic() + 10
    while (tmp_path / LOCK_NAME).stat().st_mtime_ns == before and time.monotonic() < end:
        time.sleep(0.05)
    assert (tmp_path / LOCK_NAME).stat().st_mtime_ns > before
    lock.release()


@pytest.mark.parametrize("alive", [True, False])
def test_without_locks_of_the_system_the_processes_of_this_host_are_looked_at(
    tmp_path, told, monkeypatch, alive
):
    def unsupported(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(work_dir_lock.fcntl, "lockf", unsupported)
    ticks = work_dir_lock._started(os.getpid()) if alive else "1"  # else another process with its number
    write(tmp_path, boot=work_dir_lock._boot(), ticks=ticks)
    if alive:
        with pytest.raises(ConfigError, match="Another training"):
            taken(tmp_path)
    else:
        taken(tmp_path).release()
        assert len(told) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 3}', "null"])
def test_a_damaged_lock_file_is_no_obstacle(tmp_path, content):
    (tmp_path / LOCK_NAME).write_text(content)
    taken(tmp_path, patience=0.5).release()


def test_a_link_in_the_locks_place_is_not_followed(tmp_path, told):
    file = tmp_path / "of ours"
    file.write_text("stays")
    (tmp_path / LOCK_NAME).symlink_to(file)
    taken(tmp_path).release()
    assert file.read_text() == "stays"
    assert "cannot be locked" in told[0]


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    return untrained_demo(tmp_path_factory.mktemp("run"), [3])


def test_a_second_training_writes_nothing(ready, tmp_path, holder):
    with pytest.raises(ConfigError, match=f"process {holder}"):
        deeplake_mmdet.train(ready[0], work_dir=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [LOCK_NAME]


def test_files_of_a_run_follow_the_umask_and_the_lock_is_given_back(ready, tmp_path):
    before = os.umask(0o077)
    try:
        deeplake_mmdet.train(ready[0], work_dir=tmp_path / "run")
    finally:
        os.umask(before)
    found = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")}
    assert {"run/run.json", "run/last_checkpoint", "run/epoch_1.pth"} <= set(found)
    assert {name for name, mode in found.items() if mode} == set()
    assert f"run/{LOCK_NAME}" not in found


def test_a_training_that_cannot_begin_gives_the_lock_back(ready, tmp_path):
    with pytest.raises(Exception, match="learning rate"):
        deeplake_mmdet.train(ready[0], work_dir=tmp_path, cfg_options={"optim_wrapper.optimizer.lr": -1.0})
    assert not (tmp_path / LOCK_NAME).exists()


@pytest.mark.slow
def test_several_processes_share_one_lock_and_are_refused_by_one_error(ready, tmp_path, holder):
    with pytest.raises(ConfigError, match=f"process {holder}"):
        deeplake_mmdet.train(ready[0], work_dir=tmp_path, processes=2)
    assert [file.name for file in tmp_path.iterdir()] == [LOCK_NAME]
    deeplake_mmdet.train(ready[0], work_dir=tmp_path / "other", processes=2)
    assert (tmp_path / "other" / "epoch_1.pth").exists()
    assert not (tmp_path / "other" / LOCK_NAME).exists()


def test_what_is_there_is_replaced_only_when_asked_to(ready, tmp_path):
    cfg, _, checkpoint, _ = ready
    out, drawn = tmp_path / "found.json", tmp_path / "drawn"
    drawn.mkdir()
    deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path / "run", out=out, show_dir=drawn)
    before = out.read_bytes(), sorted(drawn.iterdir())
    out.write_bytes(b"mine")
    for option in ({"out": out}, {"show_dir": drawn}, {"show_dir": out}):
        with pytest.raises(FileExistsError, match=r"already|is a file"):
            deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path / "run", **option)
    assert out.read_bytes() == b"mine"
    deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path / "run", out=out, show_dir=drawn, overwrite=True)
    assert (out.read_bytes(), sorted(drawn.iterdir())) == before
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_files_by_lake_count_as_well(ready, tmp_path):
    (tmp_path / "found.lake1.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"found\.lake1\.json"):
        deeplake_mmdet.test(ready[0], ready[2], work_dir=tmp_path / "run", out=tmp_path / "found.json")
