"""The names that old scripts import, supplied for one process only.

This and ``ops`` are the only places that touch what other packages own. Nothing is replaced: a name that a
package has itself is the package's; ``deeplake.integrations.mmdet`` alone, which cannot be imported beside
MMDetection 3.x, is ours as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["OLD_NAMES", "old_names"]

_OURS = "deeplake_mmdet"
_CONFIG = {
    "Config": _OURS,
    "ConfigDict": "mmengine.config",
    "DictAction": "mmengine.config",
    "mkdir_or_exist": _OURS,
}
_UTILS = (
    *("check_file_exist", "check_prerequisites", "concat_list", "deprecated_api_warning", "digit_version"),
    *("get_git_hash", "has_method", "import_modules_from_strings", "is_filepath", "is_list_of", "is_seq_of"),
    *("is_str", "is_tuple_of", "iter_cast", "list_cast", "scandir", "slice_list", "symlink", "tuple_cast"),
    *("ProgressBar", "Timer", "check_time", "track_iter_progress", "track_parallel_progress"),
    *("track_progress",),
)
_FILES = ("FileClient", "dict_from_file", "dump", "list_from_file", "load")
_MMCV = _CONFIG | dict.fromkeys(_UTILS, "mmengine.utils") | dict.fromkeys(_FILES, "mmengine.fileio")
_RUNNER = {
    **dict.fromkeys(("load_checkpoint", "load_state_dict", "save_checkpoint"), "mmengine.runner"),
    **dict.fromkeys(("CheckpointLoader", "get_priority", "set_random_seed"), "mmengine.runner"),
    **dict.fromkeys(("get_dist_info", "init_dist", "master_only"), "mmengine.dist"),
    **dict.fromkeys(("BaseModule", "ModuleDict", "ModuleList", "Sequential"), "mmengine.model"),
    "HOOKS": "mmengine.registry",
    "Hook": "mmengine.hooks",
}
#: Old module -> its old names -> the module that has them now.
OLD_NAMES: dict[str, dict[str, str]] = {
    "mmcv": _MMCV,
    "mmcv.utils": _MMCV
    | dict.fromkeys(("Registry", "build_from_cfg"), "mmengine.registry")
    | {"print_log": "mmengine.logging"},
    "mmcv.runner": _RUNNER,
    "mmdet.models": {"build_detector": _OURS},
    "mmdet.apis": {"set_random_seed": "mmengine.runner"},
    "deeplake.integrations.mmdet": {"build_detector": _OURS, "train_detector": _OURS},
}
_REPLACED = "deeplake.integrations.mmdet"


@contextmanager
def old_names() -> Iterator[None]:
    """Supply the names while the block runs; nothing is imported before it is asked for."""
    finder = _Finder()
    given = [_supply(sys.modules[name]) for name in OLD_NAMES if name in sys.modules and name != _REPLACED]
    hidden = sys.modules.pop(_REPLACED, None)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for take_back in (*given, *finder.given):
            take_back()
        if hidden is not None:
            sys.modules[_REPLACED] = hidden


class _Finder(MetaPathFinder):
    """Finds the old modules; those that exist are found by others, and get their old names when loaded."""

    def __init__(self) -> None:
        self.given: list[Callable[[], None]] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in OLD_NAMES:
            return None
        found = None if fullname == _REPLACED else self._found_by_others(fullname, path, target)
        if found is None:
            return ModuleSpec(fullname, _Empty(self.given), origin="supplied by deeplake-mmdet run")
        if isinstance(found.loader, Loader):
            # Of this one loader object: a loader of another class would hide the package's sources.
            execute = found.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self.given.append(_supply(module))

            found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None


class _Empty(Loader):
    """Makes modules that hold old names and nothing else."""

    def __init__(self, given: list[Callable[[], None]]) -> None:
        self.given = given

    def exec_module(self, module: ModuleType) -> None:
        _supply(module)
        self.given.append(lambda: _forget(module))


def _forget(module: ModuleType) -> None:
    sys.modules.pop(module.__name__, None)
    parent, _, name = module.__name__.rpartition(".")
    vars(sys.modules.get(parent, ModuleType(""))).pop(name, None)


def _supply(module: ModuleType) -> Callable[[], None]:
    """Let a module answer for its old names too; returns what takes them back."""
    names, space = OLD_NAMES[module.__name__], vars(module)
    before = space.get("__getattr__")

    def answer(name: str) -> Any:
        if name in names:
            return getattr(import_module(names[name]), name)
        if before is not None:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    def take_back() -> None:
        if before is None:
            space.pop("__getattr__", None)
        else:
            space["__getattr__"] = before

    space["__getattr__"] = answer
    return take_back
