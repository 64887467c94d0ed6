"""MMDetection 2.28.2's own configs, out of its wheel; no test of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import mmdet
from mmengine.config import Config

WHEEL = "mmdet==2.28.2"
OFFICIAL = Path(mmdet.__file__).parent / ".mim/configs"
DIFFERENCES = Path(__file__).with_name("zoo_differences.json")


class NoIndexError(RuntimeError):
    """The wheel cannot be had."""


@cache
def folder() -> Path:
    """The configs, downloaded with pip once and kept in the user's cache.

    Raises:
        NoIndexError: With pip's last words.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "deeplake-mmdet-tests"
    configs = home / "mmdet-2.28.2" / "mmdet/.mim/configs"
    if not configs.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", WHEEL, "-d", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        wheels = sorted(home.glob("mmdet-2.28.2-*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise NoIndexError(f"pip download {WHEEL}: {last}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(
                home / "mmdet-2.28.2", [name for name in wheel.namelist() if "/.mim/configs/" in name]
            )
    return configs


def names() -> list[str]:
    """All but the bases, as ``folder/file.py``."""
    root = folder()
    paths = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    return [str(path) for path in paths if path.parts[0] != "_base_"]


def old(name: str) -> dict[str, Any]:
    """The content of a 2.x config."""
    return dict(Config.fromfile(folder() / name, import_custom_modules=False).to_dict())


def official(name: str) -> dict[str, Any]:
    """The content of a 3.x config of the installed MMDetection."""
    return dict(Config.fromfile(OFFICIAL / name, import_custom_modules=False).to_dict())


def expected() -> dict[str, Any]:
    """The table of differences that `zoo_sweep` wrote."""
    return dict(json.loads(DIFFERENCES.read_text(encoding="utf-8")))
