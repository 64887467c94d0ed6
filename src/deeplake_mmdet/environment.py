"""Refuse installations that cannot work, and name the command that repairs them.

At import this reads folder names and asks the dynamic linker, and imports neither torch nor cv2 nor any mm*
package. What we use of other packages without their having promised it is looked for when it is needed.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from .errors import InstallError

__all__ = [
    "PRIVATE_NAMES",
    "available_cores",
    "check_environment",
    "check_private_names",
    "quieten_imports",
    "set_openmp_waiting",
]

#: Names of other packages that begin with ``_`` and that we use or override, by class or module. Those of
#: Deep Lake are guarded where they are used, as lakes can be read without most of them.
PRIVATE_NAMES: dict[str, tuple[str, ...]] = {
    "argparse:ArgumentParser": ("_actions", "_get_formatter"),
    "argparse:": ("_SubParsersAction",),
    "mmengine.dataset.base_dataset:BaseDataset": (
        *("_fully_initialized", "_metainfo", "_get_unserialized_subset"),
    ),
    "mmengine.config.config:Config": ("_cfg_dict",),
    "mmengine.config.config:DictAction": ("_parse_iterable",),
    "mmengine.hooks.hook:Hook": ("_before_epoch", "_before_iter", "_after_iter", "_after_epoch"),
    "mmengine.hooks.checkpoint_hook:CheckpointHook": ("_save_checkpoint_with_step",),
    "mmengine.logging.history_buffer:HistoryBuffer": (
        *("_set_default_statistics", "_log_history", "_count_history"),
    ),
    "mmengine.optim.scheduler.param_scheduler:_ParamScheduler": ("_get_value",),
    "mmengine.runner.checkpoint:": ("_get_mmengine_home",),
    "mmengine.runner.runner:Runner": (
        *("_timestamp", "_has_loaded", "_load_from", "_init_model_weights"),
        *("_train_loop", "_val_loop", "_test_loop"),
    ),
    "mmengine.runner.loops:EpochBasedTrainLoop": ("_epoch", "_iter", "_max_epochs"),
    "mmengine.runner.loops:IterBasedTrainLoop": ("_iter", "_max_iters", "_decide_current_val_interval"),
    "mmcv.transforms.processing:RandomFlip": ("_choose_direction",),
    "mmcv.transforms.processing:Resize": ("_resize_img",),
    "mmdet.datasets.dataset_wrappers:ConcatDataset": ("_get_ori_dataset_idx",),
    "mmdet.datasets.dataset_wrappers:MultiImageMixDataset": ("_skip_type_keys",),
    "mmdet.datasets.transforms.colorspace:ColorTransform": ("_get_mag",),
    "mmdet.datasets.transforms.geometric:GeomTransform": (
        *("_get_mag", "_get_homography_matrix", "_transform_bboxes", "_transform_img"),
        *("_transform_masks", "_transform_seg"),
    ),
    "mmdet.datasets.transforms.transforms:Resize": ("_resize_bboxes",),
    "mmdet.engine.hooks.visualization_hook:DetVisualizationHook": ("_visualizer", "_test_index"),
    "torch.nn.modules.module:Module": ("_load_from_state_dict", "_modules"),
}

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


def set_openmp_waiting() -> None:
    """Set how long OpenMP's threads spin, unless the environment says so already.

    GNU OpenMP reads it as torch is imported: without effect where the program has done that before.
    """
    # OpenMP's threads spin long while they wait and take the cores from the data loader's workers: on two
    # busy cores a training step took up to ten times as long. Not to spin at all takes 1.6 times as long on
    # idle ones. So they spin shortly.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def quieten_imports() -> None:
    """Keep MMDetection from telling, as it is imported, that metrics will not be computed: ours will be."""
    warnings.filterwarnings("ignore", "faster_coco_eval is not installed", UserWarning)


@cache
def check_private_names(*packages: str) -> None:
    """Look for the names of other packages that we use without their having promised them.

    Args:
        packages: Only those of modules whose names begin so; all by default. They are imported.

    Raises:
        InstallError: Some are not there: another version is installed than those that were tested.
    """
    gone = [
        f"{place.rstrip(':').replace(':', '.')}.{name}"
        for place, names in PRIVATE_NAMES.items()
        if not packages or place.startswith(packages)
        for name in names
        if not _has(place, name)
    ]
    if gone:
        installed = [f"{fork} {_installed().get(fork, '(not found)')}" for fork, _ in _FORKS]
        raise InstallError(
            f"The installed packages lack what this one uses: {', '.join(gone)}",
            where=f"the packages of {sys.prefix}: {', '.join(installed)}",
            advice="install the versions that were tested: pip install -c constraints.txt . in a clone of "
            "deeplake-mmdet",
        )


def _has(place: str, name: str) -> bool:
    """Whether a class or module has a name, or a method of the class says it of its instances."""
    module, _, owner = place.partition(":")
    try:
        found = getattr(import_module(module), owner) if owner else import_module(module)
    except (ImportError, AttributeError):
        return False
    if not owner:
        return hasattr(found, name)
    members = [vars(each) for each in found.__mro__]  # descriptors need instances
    codes = [getattr(value, "__code__", None) for member in members for value in member.values()]
    return any(name in member for member in members) or any(code and name in code.co_names for code in codes)


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


def available_cores() -> int:
    """How many cores this process may use: those it is bound to, or its container's share if that is less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


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
