"""What loading sets for the whole process, and what stays as the program has it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from drawn_lakes import LIGHT, lake_dataset, loader_of
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from deeplake_mmdet import train
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.loading.process_settings import INTERVAL, set_for_threads, settings_restored

PYTHONS_OWN = 0.005


@pytest.fixture(autouse=True)
def _interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(PYTHONS_OWN)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("workers", "expected"), [(0, PYTHONS_OWN), (2, INTERVAL)])
def test_decoding_threads_wait_less_for_it(lake: Path, workers: int, expected: float) -> None:
    next(iter(loader_of(lake_dataset(lake, LIGHT), "threads", workers)))
    assert sys.getswitchinterval() == pytest.approx(expected)


def test_an_interval_of_the_program_stays(lake: Path) -> None:
    sys.setswitchinterval(0.02)
    next(iter(loader_of(lake_dataset(lake, LIGHT), "threads", 2)))
    assert sys.getswitchinterval() == pytest.approx(0.02)


def test_the_environment_is_set_before_torch_reads_it() -> None:
    code = "import deeplake_mmdet, os; print(os.environ['GOMP_SPINCOUNT'])"
    for given, expected in (({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7")):
        environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment | given, check=True
        )
        assert done.stdout.split()[-1] == expected


@HOOKS.register_module()
class IntervalHook(Hook):
    """Remembers the interval in the middle of a training."""

    seen: ClassVar[list[float]] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # type: ignore[no-untyped-def]
        self.seen.append(sys.getswitchinterval())


def test_a_run_puts_back_what_it_set(tmp_path: Path) -> None:
    write_demo_lake(tmp_path / "lake", count=8, seed=0)
    path = str(tmp_path / "lake")
    cfg = demo_config(path, path, CLASS_NAMES, str(tmp_path), epochs=1, scale=(64, 64), num_workers=2)
    cfg.fast_loader = "threads"
    cfg.custom_hooks = [{"type": "IntervalHook"}]
    cv2.setNumThreads(2)
    train(cfg)
    assert IntervalHook.seen[0] == pytest.approx(INTERVAL)
    assert sys.getswitchinterval() == pytest.approx(PYTHONS_OWN)
    assert cv2.getNumThreads() == 2


def a_run() -> None:
    with settings_restored():
        set_for_threads()
    sys.exit(cv2.getNumThreads() > 1)  # they hang now and then, not each time


def test_the_end_of_a_run_in_a_fork_waits_for_no_thread_of_before() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 5)  # its threads are started
    try:
        process = multiprocessing.get_context("fork").Process(target=a_run)
        process.start()
        process.join(60)
        process.kill()
        process.join()
        assert process.exitcode == 0
    finally:
        cv2.setNumThreads(before)
