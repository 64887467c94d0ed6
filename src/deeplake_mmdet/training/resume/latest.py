"""``latest.pth`` and ``latest.log`` in the work dir, where the runs of MMDetection 2.x had them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

__all__ = ["LatestHook"]


class LatestHook(Hook):
    """Lets ``latest.pth`` lead to the newest checkpoint and ``latest.log`` to the log of this run.

    They are links where the file system has links, else copies: that of the log is made when the run ends.
    ``last_checkpoint``, which MMEngine reads, is there besides.
    """

    priority = "LOWEST"  # after the checkpoint hook

    def __init__(self) -> None:
        self._linked: Any = None

    def before_run(self, runner: Any) -> None:
        """Link the log."""
        self._link_log(runner, copy=False)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Link a checkpoint that was just written."""
        self._link_checkpoint(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Link a checkpoint that was just written."""
        self._link_checkpoint(runner)

    def after_run(self, runner: Any) -> None:
        """Link the last checkpoint, and copy the log where it could not be linked."""
        self._link_checkpoint(runner)
        self._link_log(runner, copy=True)

    def _link_checkpoint(self, runner: Any) -> None:
        found = runner.message_hub.runtime_info.get("last_ckpt")
        if found is None or found == self._linked or "://" in str(found) or not is_main_process():
            return
        self._linked = found
        _lead(Path(runner.work_dir) / "latest.pth", Path(found), copy=True)

    def _link_log(self, runner: Any, copy: bool) -> None:
        if is_main_process():
            log = Path(runner.log_dir) / f"{runner.timestamp}.log"
            _lead(Path(runner.work_dir) / "latest.log", log, copy=copy)


def _lead(name: Path, file: Path, *, copy: bool) -> None:
    """Let a name lead to a file, by a relative link or a copy; at any time it leads to the old or the new."""
    if not file.is_file():
        return
    beside = name.with_name(f".{name.name}.{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)
        try:
            beside.symlink_to(os.path.relpath(file.resolve(), name.parent.resolve()))
        except OSError:  # a file system without links
            if not copy:
                return
            shutil.copyfile(file, beside)
        beside.replace(name)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
