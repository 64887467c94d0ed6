"""Checkpoints that a kill cannot spoil: written beside, then renamed; old ones are removed after that."""

from __future__ import annotations

import logging
import os
import re
import zipfile
from collections import deque
from collections.abc import Iterator
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook as StockCheckpointHook
from mmengine.runner import Runner

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.training.record import replace_text
from deeplake_mmdet.training.resume.run_state import run_state_hook

__all__ = ["CheckpointHook", "newest_checkpoint"]

_log = logging.getLogger("deeplake_mmdet")

_UNFINISHED = ".unfinished"
_NUMBERED = re.compile(r"(epoch|iter)_\d+\.pth")


@HOOKS.register_module()
class CheckpointHook(StockCheckpointHook):
    """MMEngine's hook, writing in an order that leaves a good checkpoint at any moment.

    MMEngine's writes in place, and removes what ``max_keep_ckpts`` no longer allows before the new checkpoint
    is written: with ``max_keep_ckpts=1``, there is a time at which no checkpoint exists.
    It also has a `RunStateHook` gather the states of all ranks.

    Args: those of MMEngine's hook.

    Raises:
        ConfigError: It is given another one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # MMEngine hands on what it does not know, and stops when the first checkpoint is to be written.
        known = {*signature(StockCheckpointHook).parameters, *signature(Runner.save_checkpoint).parameters}
        if unknown := [name for name in options if name not in known]:
            near = get_close_matches(unknown[0], sorted(known), n=1)
            raise ConfigError(
                f"CheckpointHook has no {unknown[0]!r}",
                where=f"config key 'default_hooks.checkpoint.{unknown[0]}'",
                advice=f"perhaps {near[0]!r} is meant" if near else "take it out",
            )

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        if (hook := run_state_hook(runner)) is not None:
            hook.gather(runner)
        if not isinstance(self.file_backend, LocalBackend):
            super()._save_checkpoint_with_step(runner, step, meta)  # object stores write all or nothing
            return
        outdated = self._keep(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name + _UNFINISHED,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        written = Path(self.last_ckpt + _UNFINISHED)
        _flush(written)
        written.replace(self.last_ckpt)
        replace_text(Path(runner.work_dir) / "last_checkpoint", self.last_ckpt)
        for old in outdated:
            Path(self.out_dir, self.filename_tmpl.format(old)).unlink(missing_ok=True)

    def _keep(self, runner: Any, step: int) -> list[int]:
        """Count a step among those to keep; which ones are too many by that."""
        if self.max_keep_ckpts <= 0:
            return []
        kept: deque[int] = self.keep_ckpt_ids
        outdated = []
        if step not in kept:
            while len(kept) >= self.max_keep_ckpts:
                outdated.append(kept.popleft())
            kept.append(step)
        runner.message_hub.update_info("keep_ckpt_ids", list(kept))
        return outdated


def newest_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest checkpoint of a run that can be read, or None.

    That is the one named by ``last_checkpoint``, or, where that one is missing or damaged, the newest
    ``epoch_<n>.pth`` or ``iter_<n>.pth`` beside it. Damaged ones are named in the log.

    Args:
        work_dir: Folder of the run.
    """
    folder = Path(work_dir)
    named = None
    if (pointer := folder / "last_checkpoint").is_file():
        text = pointer.read_text().strip()
        named = Path(text) if text else None
    if named is not None and "://" in str(named):
        return named
    if named is not None and (folder / named.name).is_file():
        named = folder / named.name  # the folder may have been moved or copied
    for path in _candidates(folder, named):
        if not path.is_file():
            _log.warning(f"The last checkpoint is not there any more: {path}")
        elif _is_whole(path):
            if path != named:
                _log.warning(f"The newest checkpoint that can be read is {path}")
            return path
        else:
            _log.warning(f"This checkpoint is damaged and is left out: {path}")
    return None


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint file is complete and undamaged; reads all of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError):
        return False


def _candidates(folder: Path, named: Path | None) -> Iterator[Path]:
    if named is not None:
        yield named
    folders = {folder, named.parent} if named is not None else {folder}
    found = [path for place in folders for path in place.glob("*.pth") if _NUMBERED.fullmatch(path.name)]
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        if path != named:
            yield path


def _flush(path: Path) -> None:
    """Have the bytes on the disk before the name points to them: a power cut would leave an empty file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
