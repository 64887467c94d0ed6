"""Which ops mmcv uses in this process, and the one log line that says so."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from typing import Literal

from deeplake_mmdet.ops.advice import PROVIDED
from deeplake_mmdet.terminal import DETAIL
from deeplake_mmdet.terminal.run_log import join_run_log

__all__ = ["in_use", "log_ops_in_use"]

_log = logging.getLogger("deeplake_mmdet")

_LINES = {
    "compiled": "mmcv ops: the compiled module mmcv._ext is in use.",
    "stand-in": (
        f"mmcv ops: no compiled mmcv._ext is installed; deeplake_mmdet's stand-in provides {PROVIDED}, "
        "any other op raises when it is called."
    ),
    "not loaded": "mmcv ops: none, mmcv._ext cannot be imported.",
}
_logged = False


def in_use() -> Literal["compiled", "stand-in", "not loaded"]:
    """Say which ``mmcv._ext`` this process has loaded; imports nothing."""
    module = sys.modules.get("mmcv._ext")
    if module is None:
        return "not loaded"
    marked = getattr(module, "__deeplake_mmdet_stand_in__", False)
    return "stand-in" if marked is True else "compiled"


def log_ops_in_use() -> None:
    """Log which ops are in use: one line at level INFO, once per process, to mmengine's current logger.

    Imports ``mmcv._ext`` if that has not happened yet. The stand-in calls this by itself when it is loaded.
    """
    global _logged
    if in_use() == "not loaded":
        with contextlib.suppress(ImportError):  # the line then says that there are none
            importlib.import_module("mmcv._ext")  # the stand-in logs from inside this import
    if _logged:
        return
    _logged = True
    join_run_log()
    _log.info(_LINES[in_use()], extra=DETAIL)
