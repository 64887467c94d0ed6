"""Starting processes: results, errors, deaths, Ctrl-C, and credentials on their way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest

from deeplake_mmdet.errors import ConfigError, ProcessError
from deeplake_mmdet.lake import CredentialRef, put_away
from deeplake_mmdet.training.processes import launch as launching
from deeplake_mmdet.training.processes.launch import count_processes, join, launch, running_launcher


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_processes_work_together_and_the_first_answers():
    handler = signal.getsignal(signal.SIGINT)
    assert launch(jobs.add_up, "x", processes=3) == ("x", 3.0, 3)
    assert signal.getsignal(signal.SIGINT) is handler
    assert "RANK" not in os.environ


@pytest.mark.slow
def test_a_failing_process_ends_all_with_its_own_error():
    start = time.monotonic()
    with pytest.raises(ConfigError, match="the second is refused") as caught:
        launch(jobs.refuse_in_second, processes=2)
    assert caught.value.where == "here"
    assert "refuse_in_second" in str(caught.value.__cause__)
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_a_killed_process_ends_all_and_is_named():
    with pytest.raises(ProcessError, match=r"rank 1 was killed by SIGKILL"):
        launch(jobs.die_in_second, processes=2)


@pytest.mark.slow
def test_an_error_that_cannot_travel_is_told_in_words():
    with pytest.raises(ProcessError, match="cannot be unpickled"):
        launch(jobs.raise_odd, processes=1)


@pytest.mark.slow
def test_credentials_reach_the_processes_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("ACTIVELOOP_TOKEN", raising=False)
    ref = CredentialRef(put_away({"token": "canary-4711"}))
    assert launch(jobs.reveal, ref, processes=2)[0] == "canary-4711"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import jobs
from deeplake_mmdet.training.processes.launch import launch
{guard}
    launch(jobs.run_long, {target!r}, processes=2)
"""


def start_script(tmp_path, guard="if __name__ == '__main__':"):
    script = tmp_path / "script.py"
    folder = str(Path(__file__).parent)
    script.write_text(SCRIPT.format(folder=folder, target=str(tmp_path), guard=guard))
    return subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(tmp_path, number):
    process = start_script(tmp_path)
    end = time.monotonic() + 90
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path):
    process = start_script(tmp_path, "if True:")
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Each new process runs this script again" in errors
    assert "__main__" in errors


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(launching, "get_device", lambda: "cuda")
    monkeypatch.setattr(launching.torch.cuda, "device_count", lambda: 2)
    assert count_processes(True) == 2
    assert count_processes(1) == 1
    with pytest.raises(ConfigError, match="3 processes cannot be started on 2 GPUs"):
        count_processes(3)


def test_on_the_cpu_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr(launching, "get_device", lambda: "cpu")
    assert (count_processes(True), count_processes(5)) == (1, 5)
    with pytest.raises(ConfigError, match="from 1 on"):
        count_processes(0)


def test_launchers_are_recognised(monkeypatch):
    assert running_launcher() is None
    monkeypatch.setenv("SLURM_PROCID", "0")  # in an allocation, outside of a step
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    assert running_launcher() is None
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert running_launcher() == "slurm"
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    assert running_launcher() == "pytorch"


def test_a_launcher_that_started_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(launching, "get_device", lambda: "cpu")
    with pytest.raises(ConfigError, match="not started by the launcher 'pytorch'"):
        join("pytorch")
