"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import ast
import atexit
import gc
import importlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

# Workers of test data loaders and this process share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Pictures of a run take seconds; tests of them ask for them.
os.environ["DEEPLAKE_MMDET_PICTURES"] = "0"

# A shell that starts this in the background has Ctrl-C ignored, and so would the processes of tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Annotation tables of test lakes do not belong into the user's cache.
_cache = os.environ["DEEPLAKE_MMDET_CACHE"] = tempfile.mkdtemp(prefix="deeplake-mmdet-tests-")
_session = os.getpid()


@atexit.register
def _remove_cache() -> None:
    if os.getpid() == _session:
        shutil.rmtree(_cache, ignore_errors=True)


def pytest_collection_finish() -> None:
    """What is imported is not searched for garbage: MMEngine's datasets have that done whenever they load."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Have yapf keep its grammar before workers do so at once: one would read a half-written file."""
    if not hasattr(config, "workerinput"):
        importlib.import_module("yapf.yapflib.yapf_api")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Annotation tables of tests go where pytest cleans up, in processes that tests start too."""
    os.environ["DEEPLAKE_MMDET_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _configs_are_not_laid_out() -> Iterator[None]:
    """MMEngine lays a run's config out with yapf four times, which took a third of these tests' time.

    As yapf does, what takes its place refuses a text that is no Python. Tests that start processes have yapf.
    """
    from yapf.yapflib import yapf_api

    def checked(text: str, **options: Any) -> tuple[str, bool]:
        ast.parse(text)
        return f"{text.rstrip()}\n", False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yapf_api, "FormatCode", checked)
        yield


@pytest.fixture(scope="session")
def in_copy() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls a function in a copy of this process, which has imported what takes seconds to import.

    Given are the function, its arguments, the working folder, and variables of the environment.
    """

    def work(
        function: Callable[..., Any],
        args: Sequence[Any],
        cwd: Path,
        environment: dict[str, str],
        outputs: Sequence[Path],
    ) -> None:
        for number, path in enumerate(outputs, start=1):
            with path.open("wb") as file:
                os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        os.chdir(cwd)
        os.environ.update(environment)
        tempfile.tempdir = None
        warnings.resetwarnings()
        sys.exit(function(*args))

    def run(
        function: Callable[..., Any], *args: Any, cwd: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            outputs = [Path(folder, name) for name in ("out", "err")]
            process = multiprocessing.get_context("fork").Process(
                target=work, args=(function, args, cwd, environment, outputs)
            )
            process.start()
            process.join(300)
            process.kill()
            return subprocess.CompletedProcess(
                list(map(str, args)), process.exitcode, *(path.read_text() for path in outputs)
            )

    return run


@pytest.fixture(scope="session")
def command_in_copy(in_copy: Callable[..., Any]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs our command in a copy of this process.

    For tests that ask what a command does and tells, and not how a process of its own begins and ends.
    """
    from deeplake_mmdet.cli import main

    def run(*args: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        done = in_copy(main, [str(arg) for arg in args], cwd=cwd, **environment)
        return subprocess.CompletedProcess(
            [str(arg) for arg in args], done.returncode, done.stdout, done.stderr
        )

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs, ``bccd`` and ``nuts``: CONTRIBUTING.md says where they are from."""
    named = os.environ.get("DEEPLAKE_MMDET_TEST_DATA")
    if not named:
        pytest.skip("DEEPLAKE_MMDET_TEST_DATA names no folder of real data")
    folder = Path(named).resolve()
    assert (folder / "bccd").is_dir(), f"DEEPLAKE_MMDET_TEST_DATA: no bccd in {folder}"
    assert (folder / "nuts").is_dir(), f"DEEPLAKE_MMDET_TEST_DATA: no nuts in {folder}"
    return folder


@pytest.fixture(scope="session")
def nuts_lake(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from deeplake_mmdet import import_coco

    lake = tmp_path_factory.mktemp("lakes") / "nuts"
    nuts = shared_data / "nuts"
    import_coco(nuts / "trainval.json", lake, images=nuts / "images", progress=False)
    return lake


@pytest.fixture(scope="session")
def bccd_lakes(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from deeplake_mmdet import import_voc

    folder = tmp_path_factory.mktemp("lakes")
    lakes = {split: folder / f"bccd-{split}" for split in ("train", "val")}
    for split, lake in lakes.items():
        import_voc(shared_data / "bccd", lake, split=split, progress=False)
    return lakes


@pytest.fixture(scope="session")
def untrained_demo() -> Callable[..., Any]:
    """Makes the demo's config on lakes of its own, its untrained detector and a checkpoint of that."""

    def make(
        folder: Path, counts: Sequence[int], score_thr: float | None = None
    ) -> tuple[Any, Any, Path, list[str]]:
        import torch
        from mmdet.registry import MODELS
        from mmdet.utils import register_all_modules

        from deeplake_mmdet.demo.config import demo_config
        from deeplake_mmdet.demo.drawing import CLASS_NAMES
        from deeplake_mmdet.demo.lakes import write_demo_lake

        register_all_modules()
        lakes = [str(folder / f"lake{seed}") for seed in range(len(counts))]
        for seed, (lake, count) in enumerate(zip(lakes, counts, strict=True)):
            write_demo_lake(lake, count=count, seed=seed)
        options = {"epochs": 1, "scale": (96, 64), "num_workers": 0}
        cfg = demo_config(lakes[0], lakes[0], CLASS_NAMES, str(folder / "work"), **options)
        if score_thr is not None:
            cfg.model.test_cfg.score_thr = score_thr
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        torch.save({"state_dict": model.state_dict(), "meta": {}}, folder / "weights.pth")
        return cfg, model, folder / "weights.pth", lakes

    return make
