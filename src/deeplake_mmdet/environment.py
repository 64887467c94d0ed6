"""Refuse, at import, installations that cannot work, and name the command that repairs them.

Reads folder names and asks the dynamic linker; imports neither torch nor cv2 nor any mm* package.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from .errors import InstallError

__all__ = ["check_environment"]

# The maintained distribution, then those that install files under the same import name.
_FORKS = (
    ("onedl-mmdetection", ("mmdet",)),
    ("onedl-mmengine", ("mmengine", "mmengine-lite")),
    ("onedl-mmcv", ("mmcv", "mmcv-full", "mmcv-lite")),
)
_OPENCV = (
    "opencv-python-headless",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-contrib-python",
)
# What the windowed wheel (4.12, Qt) takes from the system, beyond the C and C++ runtimes and zlib.
_WINDOW_LIBRARIES = ("libGL.so.1", "libgthread-2.0.so.0", "libglib-2.0.so.0")
_METADATA = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)(-py[0-9.]+)?\.(dist|egg)-info")


def check_environment() -> None:
    """Check that the installed packages can work together; takes a few milliseconds.

    Raises:
        InstallError: An onedl distribution and its original are both installed; or the installed ``cv2`` is
            the one with windows, and the system lacks a library that it needs; or no ``cv2`` is left
            although an OpenCV wheel is installed. The message ends with the command to type.
    """
    installed = _installed()
    _check_forks(installed)
    _check_opencv(installed)


def _installed() -> dict[str, str]:
    """Map the names of interest to installed versions, by the folders on ``sys.path``.

    importlib.metadata would say the same, but importing it alone takes longer than all of this module.
    """
    wanted = {name for fork, originals in _FORKS for name in (fork, *originals)} | set(_OPENCV)
    found: dict[str, str] = {}
    for entry in dict.fromkeys(sys.path):
        folder = Path(entry or ".")
        if not folder.is_dir():
            continue
        for child in folder.glob("*-info"):
            match = _METADATA.fullmatch(child.name)
            if match is None:
                continue
            name = re.sub(r"[_.]+", "-", match["name"]).lower()
            # A half-removed distribution can leave its folder behind, but not its metadata.
            if name in wanted and ((child / "METADATA").exists() or (child / "PKG-INFO").exists()):
                found.setdefault(name, match["version"])
    return found


def _check_forks(installed: dict[str, str]) -> None:
    for fork, names in _FORKS:
        originals = [name for name in names if name in installed]
        if fork in installed and originals:
            raise InstallError(
                f"{_listed([fork, *originals], installed)} are both installed, "
                "and they overwrite each other's files",
                where=f"the packages of {sys.prefix}",
                advice=(
                    f"pip uninstall -y {' '.join([fork, *originals])} && "
                    f"pip install --no-deps {fork}=={installed[fork]}"
                ),
            )


def _check_opencv(installed: dict[str, str], load: Callable[[str], object] = ctypes.CDLL) -> None:
    wheels = [name for name in _OPENCV if name in installed]
    if not wheels or "cv2" in sys.modules:
        return  # another build of cv2, or none, or one that works
    spec = find_spec("cv2")
    problem: str | None
    if spec is None or spec.origin is None:  # a folder without __init__.py has a spec, but no origin
        problem = "its files are gone, because two OpenCV wheels shared them and one was removed"
    else:
        problem = _missing_library(Path(spec.origin).parent, load)
        if problem is None:
            return
    raise InstallError(
        f"cv2 cannot be imported: {problem}",
        where=f"{_listed(wheels, installed)} in {sys.prefix}",
        advice=(
            f"pip uninstall -y {' '.join(wheels)} && "
            f"pip install --no-deps opencv-python-headless=={installed[wheels[0]]}"
        ),
    )


def _missing_library(folder: Path, load: Callable[[str], object]) -> str | None:
    """Say why the windowed ``cv2`` in ``folder`` cannot be loaded, or return None if nothing is wrong."""
    marks = folder / "version.py"
    if sys.platform != "linux" or not marks.is_file():
        return None
    if not re.search(r"^headless\s*=\s*False", marks.read_text(encoding="utf-8"), re.MULTILINE):
        return None
    fault = _fault(load, list(_WINDOW_LIBRARIES))
    if fault is not None:
        # Loading cv2 itself is slow, but the last word: another build may bring these libraries along.
        extensions = [str(path) for path in folder.glob("cv2*.so")]
        fault = _fault(load, extensions) if extensions else fault
    if fault is None:
        return None
    return f"it is the build with windows, and this system lacks a library for them ({fault})"


def _fault(load: Callable[[str], object], names: list[str]) -> OSError | None:
    try:
        for name in names:
            load(name)
    except OSError as fault:
        return fault
    return None


def _listed(names: list[str], installed: dict[str, str]) -> str:
    return " and ".join(f"{name} {installed[name]}" for name in names)
