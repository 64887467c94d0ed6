"""Reading checkpoint files as data: weights, numbers and texts, and nothing that runs."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from deeplake_mmdet.errors import SourceFormatError

__all__ = ["TRUST_VARIABLE", "is_trusted", "load_data"]

TRUST_VARIABLE = "DEEPLAKE_MMDET_TRUST_CHECKPOINTS"
_LISTED = 8


def is_trusted() -> bool:
    """Whether the user has said that checkpoints may run code: ``DEEPLAKE_MMDET_TRUST_CHECKPOINTS=1``."""
    return os.environ.get(TRUST_VARIABLE, "") not in ("", "0")


def load_data(file: Path, *, mmap: bool = False, map_location: Any = "cpu") -> Any:
    """What a checkpoint file holds, if that is data alone.

    A checkpoint is a pickle, and a pickle may name any function for Python to call. Besides what torch takes
    for data (tensors and plain containers), these are taken: NumPy's arrays and numbers, MMEngine's
    ``HistoryBuffer`` (of which a checkpoint's methods are not taken) and ``ConfigDict``,
    ``argparse.Namespace``, ``pathlib`` paths and slices. MMEngine itself reads the rest nevertheless.

    Args:
        file: A file that exists.
        mmap: Leave the weights on the disk.
        map_location: Where tensors go, as ``torch.load`` takes it, e.g. ``'cpu'``.

    Raises:
        SourceFormatError: It would run other code, and `is_trusted` does not hold.
        Exception: What ``torch.load`` raises of damaged files.
    """
    if is_trusted():
        return torch.load(file, map_location=map_location, weights_only=False, mmap=mmap)
    try:
        with torch.serialization.safe_globals(_allowed()):
            return torch.load(file, map_location=map_location, weights_only=True, mmap=mmap)
    except UnpicklingError as error:
        names = _unknown(file, error)
        first = next((line for line in str(error).splitlines() if line.strip()), "")[:200]
        raise SourceFormatError(
            f"The checkpoint is more than data: to read it would call {names}"
            if names
            else f"The file is no checkpoint that can be read as data ({first})",
            where=str(file),
            advice=("" if names else "copy it again if it is damaged; ")
            + "only if whoever made it may run any code as you: --trust-checkpoint "
            f"(or {TRUST_VARIABLE}=1); else have it saved anew, as torch.save(model.state_dict(), FILE)",
        ) from None


class _SavedBuffer(HistoryBuffer):
    """How a saved ``HistoryBuffer`` comes back: with its numbers, and none of the methods in its file."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set_default_statistics()
        self._log_history = np.asarray(state["_log_history"])
        self._count_history = np.asarray(state["_count_history"])
        self.max_length = int(state["max_length"])
        self.__class__ = HistoryBuffer


def _method_of(owner: Any, name: str) -> str:
    """What stands for ``getattr``, by which MMEngine's buffers name their methods."""
    if owner is not _SavedBuffer:
        raise UnpicklingError("Unsupported global: GLOBAL builtins.getattr")
    return str(name)  # not used, see `_SavedBuffer`


def _allowed() -> list[Any]:
    core = np._core if hasattr(np, "_core") else np.core
    numpy = {name: getattr(core.multiarray, name) for name in ("_reconstruct", "scalar")}
    return [
        *(pair for name, found in numpy.items() for pair in _both(found, f"multiarray.{name}")),
        np.ndarray,
        np.dtype,
        # Of the numbers, flags and texts.
        *{type(np.dtype(code)) for code in "?bhilqBHILQefdgFDGSU"},
        (_SavedBuffer, "mmengine.logging.history_buffer.HistoryBuffer"),
        (_method_of, "builtins.getattr"),
        (_method_of, "__builtin__.getattr"),
        ConfigDict,
        (ConfigDict, "mmcv.utils.config.ConfigDict"),
        argparse.Namespace,
        slice,
        *((pathlib.PurePath, f"pathlib{part}.{kind}Path") for part in ("", "._local") for kind in _PATHS),
    ]


_PATHS = ("Pure", "PurePosix", "PureWindows", "Posix", "Windows")


def _both(found: Any, name: str) -> list[tuple[Any, str]]:
    """A function of NumPy under the name that it has in files of NumPy 2, and of NumPy 1."""
    return [(found, f"numpy.{core}.{name}") for core in ("_core", "core")]


def _unknown(file: Path, error: UnpicklingError) -> str:
    """What a file would call beyond what is allowed; empty if that is not its fault."""
    names: list[str] = []
    # Of the format before torch 1.6, or damaged.
    with contextlib.suppress(Exception), torch.serialization.safe_globals(_allowed()):
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    if not names:  # the first that was met
        names = re.findall(r"GLOBAL (\S+)", str(error))[:1]
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
