"""What scripts do with a loaded config and before training: logger, device, processes, old keys."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

__all__ = [
    "compat_cfg",
    "get_device",
    "get_logger",
    "get_root_logger",
    "init_dist",
    "replace_cfg_vals",
    "update_data_root",
]


def get_logger(
    name: str, log_file: str | Path | None = None, log_level: int | str = logging.INFO, file_mode: str = "w"
) -> logging.Logger:
    """A logger that writes to the terminal and, if named, to a file.

    Args:
        name: Its name.
        log_file: The file; its folder must exist.
        log_level: Lowest level that is written.
        file_mode: ``'w'`` or ``'a'``.
    """
    if MMLogger.check_instance_created(name):
        return MMLogger.get_instance(name)  # type: ignore[no-any-return]
    file = None if log_file is None else str(log_file)
    return MMLogger.get_instance(  # type: ignore[no-any-return]
        name, logger_name=name, log_file=file, log_level=log_level, file_mode=file_mode
    )


def get_root_logger(
    log_file: str | Path | None = None, log_level: int | str = logging.INFO
) -> logging.Logger:
    """The script's own logger; the training's log is ``latest.log`` in the work dir.

    Args:
        log_file: The file; its folder must exist.
        log_level: Lowest level that is written.
    """
    return get_logger("mmdet", log_file, log_level)


def get_device() -> str:
    """``'cuda'`` if there is a GPU, else ``'cpu'``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def init_dist(launcher: str, backend: str = "nccl", **kwargs: Any) -> None:
    """Join the other processes; by gloo where there is no GPU.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        backend: On GPUs.
        kwargs: Further settings, such as ``port``.

    Raises:
        ConfigError: The launcher's variables are missing.
    """
    from mmengine.dist import init_dist as start

    from deeplake_mmdet.training.processes.launch import join, on_cpu

    if on_cpu():
        join(launcher)
    else:
        start(launcher, backend, **kwargs)


def compat_cfg(cfg: Config) -> Config:
    """MMDetection's function of this name, which also takes configs whose ``data`` lacks a split.

    Args:
        cfg: A 2.x config; not changed.
    """
    from mmdet.utils.compat_config import compat_imgs_per_gpu, compat_loader_args, compat_runner_args

    cfg = compat_imgs_per_gpu(cfg)
    absent = [split for split in ("val", "test") if split not in cfg.data]
    for split in absent:
        cfg.data[split] = {}
    cfg = compat_loader_args(cfg)
    for split in absent:
        del cfg.data[split]
    if "runner" in cfg or "total_epochs" in cfg:
        cfg = compat_runner_args(cfg)
    return cfg


def replace_cfg_vals(cfg: Config) -> Config:
    """MMDetection's function of this name: ``${key}`` becomes the key's value. The class of config stays.

    Args:
        cfg: A config; not changed.
    """
    from mmdet.utils.replace_cfg_vals import replace_cfg_vals as replace

    if "${" not in str(cfg.to_dict()):
        return cfg
    return type(cfg)(replace(cfg).to_dict(), cfg_text=cfg.text, filename=cfg.filename)


def update_data_root(cfg: Config, logger: Any = None) -> None:
    """MMDetection's function of this name: the variable ``MMDET_DATASETS`` replaces ``data_root``.

    Args:
        cfg: Changed in place; nothing happens without ``data_root`` and ``data``.
        logger: Where the change is logged.
    """
    from mmdet.utils.misc import update_data_root as update

    if cfg.get("data_root") and cfg.get("data"):
        update(cfg, logger)
