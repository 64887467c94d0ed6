"""``run.json`` in the run's folder: on what data, in what order and by which packages a run was trained."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process

from deeplake_mmdet.config.comparison import stock_base
from deeplake_mmdet.dataset import training_facts
from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.loading import lakes_under

__all__ = ["RECORD_NAME", "package_versions", "replace_text", "write_record"]

RECORD_NAME = "run.json"
_PACKAGES = (
    *("deeplake-mmdet", "deeplake", "onedl-mmdetection", "onedl-mmengine", "onedl-mmcv", "mmdet", "mmengine"),
    *("mmcv", "mmcv-lite", "torch", "torchvision", "numpy", "opencv-python-headless"),
)


def write_record(runner: Any, pins: Mapping[str, Any], resumed: Any = None) -> Path | None:
    """Add this start of a run to its ``run.json``; a run that was resumed twice has three.

    Args:
        runner: Its training is about to begin.
        pins: From `pins_of`.
        resumed: A `Loaded`, if this start goes on from a checkpoint.

    Returns:
        The file; None on other ranks than the first.
    """
    if not is_main_process():
        return None
    path = Path(runner.work_dir) / RECORD_NAME
    loader = runner.train_dataloader
    threads = getattr(loader.dataset, "threads", None)
    start = {
        "started": runner.timestamp,
        "config": _config(runner),
        "lakes": pins["lakes"],
        "data": [training_facts(lake) for lake in lakes_under(loader.dataset)],
        "samples": pins["length"],
        "seed": pins["seed"] if pins["seed"] is not None else runner.seed,
        "order": pins["order"],
        "loader": {
            "mode": "threads" if threads else "processes" if loader.num_workers else "training process",
            "workers": threads or loader.num_workers,
            "batch_size": getattr(loader.batch_sampler, "batch_size", None),
        },
        "ranks": get_world_size(),
        "resumed_from": _resumed(runner, resumed),
        "packages": package_versions(),
    }
    starts = []
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # there is none, or none of ours
        starts = list(json.loads(path.read_text())["starts"])
    replace_text(path, json.dumps({"starts": [*starts, start]}, indent=1) + "\n")
    return path


def replace_text(path: Path, text: str) -> None:
    """Write a file so that at any time either the old text or the new one stands there.

    Args:
        path: The file, which need not exist; its folder must.
        text: The new text.

    Raises:
        OSError: It cannot be written; the old text stays.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with beside.open("x") as file:  # by the umask, unlike a temporary file
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _config(runner: Any) -> dict[str, Any]:
    """The config's file, and the installed config that it is built on, where these are known."""
    file = getattr(runner.cfg, "filename", None)
    stock = None
    if file and Path(file).is_file():
        with contextlib.suppress(DeepLakeMMDetError, OSError, ValueError):
            stock = stock_base(Path(file).resolve())
    return {"file": str(file) if file else None, "stock": stock}


def _resumed(runner: Any, resumed: Any) -> dict[str, Any] | None:
    if resumed is None or not (runner.epoch or runner.iter):
        return None
    return {"epoch": runner.epoch, "iter": runner.iter}


def package_versions() -> dict[str, str]:
    """The versions of Python and of the packages that a run depends on, by name."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
