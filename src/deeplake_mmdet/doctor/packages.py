"""Packages, compiled ops and extras."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from deeplake_mmdet.doctor.fact import Fact, Status
from deeplake_mmdet.environment import check_private_names
from deeplake_mmdet.errors import InstallError
from deeplake_mmdet.ops import in_use
from deeplake_mmdet.ops.advice import HOW_TO_COMPILE, PROVIDED

__all__ = ["package_facts"]

_NEEDED = (
    *("deeplake-mmdet", "deeplake", "onedl-mmdetection", "onedl-mmengine", "onedl-mmcv", "torch", "numpy"),
    *("opencv-python-headless", "hotcoco", "pycocotools", "simplejpeg", "obstore"),
)
# Module, what it serves, how to get it.
_EXTRAS = (
    ("pyarrow", "--out FILE.parquet", "pip install 'deeplake-mmdet[parquet]'"),
    ("ray", "--engine ray", "pip install 'deeplake-mmdet[ray]'"),
    ("torchvision", "CrowdDet and TIMM backbones", "pip install torchvision"),
    ("sklearn", "PAA", "pip install scikit-learn"),
    ("transformers", "GLIP and Grounding DINO", "pip install transformers"),
    ("boto3", "profiles and SSO of AWS", "pip install boto3"),
)
_WINDOWED = ("opencv-python", "opencv-contrib-python")


def package_facts() -> Iterator[Fact]:
    """What is installed, and whether it fits together."""
    yield Fact("packages", "python", f"{platform.python_version()} ({sys.executable})")
    for name in _NEEDED:
        try:
            yield Fact("packages", name, version(name))
        except PackageNotFoundError:
            others = name.startswith(("opencv", "onedl"))  # another build of it may serve
            status = Status.NOTE if others else Status.FAULT
            yield Fact("packages", name, "not installed", status, f"pip install {name}")
    yield _private_names()
    yield _opencv()
    yield _ops()
    for module, use, command in _EXTRAS:
        if find_spec(module) is None:
            yield Fact("extras", module, f"not installed; only for {use}", Status.OK, command)
        else:
            yield Fact("extras", module, f"installed, for {use}")


def _private_names() -> Fact:
    try:
        check_private_names()
    except InstallError as error:
        return Fact("packages", "fit together", error.what, Status.FAULT, error.advice or "")
    return Fact("packages", "fit together", "what we use of them is there")


def _opencv() -> Fact:
    found = []
    for name in _WINDOWED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        advice = "pip uninstall -y opencv-python && pip install --force-reinstall opencv-python-headless"
        return Fact("packages", "cv2", f"cannot be imported: {error}", Status.FAULT, advice)
    if found:
        return Fact(
            "packages",
            "cv2",
            f"{cv2.__version__}; {', '.join(found)} shares its files with the headless wheel",
            Status.NOTE,
            f"pip uninstall -y {' '.join(one.split()[0] for one in found)} && "
            "pip install --force-reinstall --no-deps opencv-python-headless",
        )
    return Fact("packages", "cv2", f"{cv2.__version__}, without windows")


def _ops() -> Fact:
    try:
        importlib.import_module("mmcv._ext")
    except ImportError as error:
        return Fact("ops", "mmcv._ext", f"cannot be imported: {error}", Status.FAULT, HOW_TO_COMPILE)
    if in_use() == "compiled":
        return Fact("ops", "mmcv._ext", "compiled")
    return Fact("ops", "mmcv._ext", f"our stand-in: {PROVIDED}", Status.OK, f"for others: {HOW_TO_COMPILE}")
