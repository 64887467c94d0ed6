"""Putting loops and hooks into a config, so that its run can be resumed at any iteration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.training.resume.checkpoint_files import read_checkpoint
from deeplake_mmdet.training.resume.checkpoints import newest_checkpoint
from deeplake_mmdet.training.resume.position import RESUME_ANYWAY

__all__ = ["choose_checkpoint", "keep_run_state", "nothing_left"]

_log = logging.getLogger("deeplake_mmdet")

_LOOPS = {"EpochBasedTrainLoop": "EpochTrainLoop", "IterBasedTrainLoop": "IterTrainLoop"}
_HOOK = "deeplake_mmdet.RunStateHook"


def keep_run_state(cfg: Config) -> None:
    """Exchange MMEngine's training loop and checkpoint hook for ours, and add `RunStateHook`.

    Loops and hooks of other kinds stay, and the log says what that means.

    Args:
        cfg: A 3.x config; changed.
    """
    if not cfg.get("train_cfg"):
        return
    loop, name = cfg.train_cfg, _name(cfg.train_cfg)
    if name is None:
        name = "EpochBasedTrainLoop" if loop.get("by_epoch", True) else "IterBasedTrainLoop"
    if name in _LOOPS:
        loop.pop("by_epoch", None)
        loop["type"] = f"deeplake_mmdet.{_LOOPS[name]}"
    elif name not in _LOOPS.values():
        _log.info(f"{name} is no loop of ours: a resume goes on as that loop does")
    checkpoint = cfg.setdefault("default_hooks", {}).setdefault("checkpoint", {"type": "CheckpointHook"})
    for hook in (checkpoint, *(cfg.get("custom_hooks") or ())):
        if _name(hook) == "CheckpointHook":
            hook["type"] = "deeplake_mmdet.CheckpointHook"
    hooks = list(cfg.get("custom_hooks") or ())
    if not any(_name(hook) == "RunStateHook" for hook in hooks):
        hooks.append({"type": _HOOK, RESUME_ANYWAY: bool(cfg.get(RESUME_ANYWAY, False))})
    cfg.custom_hooks = hooks


def choose_checkpoint(cfg: Config) -> None:
    """Resume from the newest checkpoint that can be read, where a config leaves the choice.

    Args:
        cfg: A 3.x config; changed.
    """
    if not cfg.get("resume") or cfg.get("load_from"):
        return
    found = newest_checkpoint(cfg.work_dir)
    if found is None:
        _log.warning(f"There is no checkpoint to resume from in {cfg.work_dir}: training begins")
        cfg.resume = False
    else:
        cfg.load_from = str(found)


def nothing_left(cfg: Config) -> str | None:
    """What to say of a run that is resumed where it had ended; None if there is something left to train.

    Args:
        cfg: After `choose_checkpoint`; its ``load_from`` is the checkpoint.
    """
    if not (cfg.get("resume") and cfg.get("load_from") and "://" not in str(cfg.load_from)):
        return None
    meta = read_checkpoint(cfg.load_from).get("meta")
    for unit, key in (("epoch", "max_epochs"), ("iter", "max_iters")):
        last, done = cfg.train_cfg.get(key), meta.get(unit) if isinstance(meta, Mapping) else None
        if isinstance(last, int) and isinstance(done, int) and done >= last:
            name = "epoch" if unit == "epoch" else "iteration"
            return (
                f"Nothing is left to train: {cfg.load_from} is of {name} {done}, and train_cfg.{key} is "
                f"{last}. "
                f"To go on: --resume --cfg-options train_cfg.{key}={2 * done} (the schedule of the learning "
                "rate, param_scheduler, may need another end, too); to begin anew: another work dir, and no "
                "--resume"
            )
    return None


def _name(node: Any) -> str | None:
    kind = node.get("type") if hasattr(node, "get") else None
    if kind is None:
        return None
    return kind.rpartition(".")[2] if isinstance(kind, str) else str(kind.__name__)
