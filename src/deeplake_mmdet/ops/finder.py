"""The import hook that answers for the one name ``mmcv._ext`` when nothing else does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

from .report import log_ops_in_use

__all__ = ["EXTENSION", "StandInFinder", "StandInLoader", "install"]

EXTENSION = "mmcv._ext"
_SOURCE = Path(__file__).with_name("stand_in.py")


class StandInLoader(SourceFileLoader):
    """Runs ``stand_in.py`` as ``mmcv._ext`` and says so in the log."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill ``module``, then log the one line about the ops in use.

        Args:
            module: The empty module ``mmcv._ext``.
        """
        super().exec_module(module)
        log_ops_in_use()


class StandInFinder(MetaPathFinder):
    """Knows ``mmcv._ext`` and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the stand-in's spec for ``mmcv._ext``, ``None`` for any other name.

        Args:
            fullname: Name of the module that is imported, with its packages.
            path: Not used.
            target: Not used.
        """
        if fullname != EXTENSION:
            return None
        loader = StandInLoader(fullname, str(_SOURCE))
        return importlib.util.spec_from_file_location(fullname, _SOURCE, loader=loader)


def install() -> None:
    """Make ``import mmcv._ext`` work without compiled ops; any number of calls equals one.

    The finder goes to the end of ``sys.meta_path``, behind Python's own path finder. So a compiled module is
    found first, and then this one is never asked. Nothing is imported here, neither torch nor mmcv.
    """
    if not any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandInFinder())
