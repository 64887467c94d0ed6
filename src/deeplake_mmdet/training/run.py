"""Training and test runs from a config, as the commands start them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from deeplake_mmdet.config import check_data, check_order
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading import settings_restored
from deeplake_mmdet.terminal.run_log import run_log
from deeplake_mmdet.training.failures import failures_named
from deeplake_mmdet.training.hooks.kept_predictions import KeptPredictionsHook
from deeplake_mmdet.training.hooks.progress import ProgressHook
from deeplake_mmdet.training.hooks.results_table import ResultsTableHook
from deeplake_mmdet.training.hooks.run_pictures import RunPicturesHook, wants_pictures
from deeplake_mmdet.training.parts_check import check_amp, check_parts, without_amp_on_cpu
from deeplake_mmdet.training.prepare import check_splits, check_trains, prepare_config, prepare_test_config
from deeplake_mmdet.training.prepare_images import use_prepared
from deeplake_mmdet.training.pretrained import check_pretrained
from deeplake_mmdet.training.processes.children import run_in_children
from deeplake_mmdet.training.processes.launch import count_processes
from deeplake_mmdet.training.processes.restarts import with_restarts
from deeplake_mmdet.training.processes.workers_lost import lost_workers_named
from deeplake_mmdet.training.result import Run, finished
from deeplake_mmdet.training.resume.checkpoint_files import usable_checkpoint
from deeplake_mmdet.training.resume.in_config import choose_checkpoint, nothing_left
from deeplake_mmdet.training.resume.latest import LatestHook
from deeplake_mmdet.training.runners import make_runner
from deeplake_mmdet.training.skipped import write_skipped_rows
from deeplake_mmdet.training.tracking import use_trackers
from deeplake_mmdet.training.tta import augmented, check_merges
from deeplake_mmdet.training.work_dir_lock import WorkDirLock

__all__ = ["run_test", "run_training", "test", "train"]

_log = logging.getLogger("deeplake_mmdet")


@run_log()
def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    resume: bool | str | Path = False,
    amp: bool = False,
    auto_scale_lr: bool = False,
    prepared: Any = None,
    tracker: str | Sequence[str] | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    processes: bool | int | None = None,
    max_restarts: int = 0,
) -> Run:
    """Train the detector that a config describes.

    Args:
        config: Config file, or a loaded config, which is not changed; for MMDetection 2.x or 3.x.
        work_dir: Folder of the run; else the config's ``work_dir``, else ``work_dirs/<config name>``.
        resume: True for the newest checkpoint in the work dir, or a checkpoint file.
        amp: Train in mixed precision (GPU only).
        auto_scale_lr: Scale the learning rate by the config's ``auto_scale_lr.base_batch_size``.
        prepared: The key ``prepared`` for the lakes to train and validate on that have none: decoded images
            are kept for all epochs; see `DeepLakeDataset`.
        tracker: ``'tensorboard'``, ``'mlflow'`` or both: also write what is measured for them, into the run's
            folder.
        cfg_options: Changes by dotted key.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, as in mmengine; torchrun and slurm steps are
            recognised by themselves.
        processes: Start this many on this machine, True for one per GPU; gloo joins them on the CPU.
        max_restarts: How often ``processes`` are started again where one of them is killed, from the run's
            newest checkpoint on. With torchrun, give it ``--max-restarts`` and the training ``resume=True``.

    Returns:
        The run: work dir, metrics and scores by class of the last validation, checkpoints.

    Raises:
        DeepLakeMMDetError: Config or data cannot be used; raised before the first iteration.
    """
    started = _launcher(launcher, processes)
    _check_restarts(max_restarts, processes)
    cfg = prepare_config(config, work_dir=work_dir, cfg_options=cfg_options, launcher=started)
    use_prepared(cfg, prepared, ("train", "val"))
    use_trackers(cfg, tracker)
    without_amp_on_cpu(cfg)
    if amp:
        check_amp()
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.loss_scale = "dynamic"
    if auto_scale_lr:
        if "base_batch_size" not in cfg.get("auto_scale_lr", {}):
            raise ConfigError(
                "The learning rate cannot be scaled",
                where="config key 'auto_scale_lr.base_batch_size'",
                advice="set it to the batch size that the learning rate was chosen for",
            )
        cfg.auto_scale_lr.enable = True
    if resume:
        cfg.resume = True
        cfg.load_from = None if resume is True else str(usable_checkpoint(resume))
    check_trains(cfg)
    check_splits(cfg, ("train", "val"))
    check_data(cfg, ("train", "val"))
    check_parts(cfg, training=True)
    check_pretrained(cfg)
    if not max_restarts:
        return _start(run_training, cfg, processes)
    return with_restarts(lambda now: _start(run_training, now, processes), cfg, max_restarts)  # type: ignore[no-any-return]


@run_log()
def test(
    config: str | Path | Config,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    processes: bool | int | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    allow_partial: bool = False,
    overwrite: bool = False,
) -> Run:
    """Evaluate a checkpoint on the config's ``test_dataloader``.

    The checkpoint's class names say what its labels mean: lakes with the same names in another order take
    the checkpoint's.

    Args:
        config: Config file, or a loaded config, which is not changed; for MMDetection 2.x or 3.x.
        checkpoint: File written by `train`.
        work_dir: Folder of the run; else the config's ``work_dir``, else ``work_dirs/<config name>``.
        cfg_options: Changes by dotted key.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, as in mmengine; torchrun and slurm steps are
            recognised by themselves.
        processes: Start this many on this machine, True for one per GPU; gloo joins them on the CPU.
        out: Also write the predictions to this ``.json`` (COCO results) or ``.parquet`` file.
        show_dir: Also draw every image with its predictions into this folder; in one process only.
        tta: Test each image in the versions of the config's ``tta_pipeline``, else as it is and flipped, and
            have its ``tta_model`` merge what is found, else non-maximum suppression at an IoU of 0.5. For
            boxes only.
        allow_partial: Test a checkpoint that holds only a part of the model's weights, or weights of other
            shapes; the rest stays as it was initialised.
        overwrite: Replace the file ``out``, and draw into a ``show_dir`` that has files in it.

    Returns:
        The run: work dir, metrics and scores by class.

    Raises:
        ImportRefusedError: ``out`` is there already, or ``show_dir`` is not empty.
        ConfigError: The checkpoint is another model's, or has other classes than the data.
        DeepLakeMMDetError: Config, checkpoint or data cannot be used.
    """
    check_order(config, checkpoint)
    started = _launcher(launcher, processes)
    cfg = prepare_test_config(
        config, work_dir=work_dir, cfg_options=cfg_options, launcher=started, out=out, show_dir=show_dir,
        tta=tta, overwrite=overwrite,
    )  # fmt: skip
    cfg.load_from = str(usable_checkpoint(checkpoint))
    cfg.allow_partial = bool(allow_partial or cfg.get("allow_partial", False))
    check_data(cfg, ("test",))
    check_parts(cfg, training=False)
    if tta and cfg.get("model"):
        cfg.model = augmented(cfg.model, cfg)
    return _start(run_test, cfg, processes)


@run_log()
def run_training(
    cfg: Config, model: Any = None, *, timestamp: str | None = None, meta: Mapping[str, Any] | None = None
) -> Run:
    """Train by a prepared config, in this process.

    Args:
        cfg: From `prepare_config`.
        model: A detector that is built; None for the config's.
        timestamp: Names the run's log files; None for the time.
        meta: Entries for the ``meta`` of every checkpoint.

    Raises:
        ConfigError: Another training writes into the work dir.
        DeepLakeMMDetError: See `make_runner`.
    """
    lock = WorkDirLock(cfg.work_dir)
    try:
        choose_checkpoint(cfg)
        if note := nothing_left(cfg):
            _log.warning(note)
        with settings_restored(), failures_named(cfg):
            runner = make_runner(cfg, model, timestamp=timestamp, meta=meta, lock=lock)
            if model is not None:  # of the old interface, whose guide names these files
                runner.register_hook(LatestHook())
            _show_in_folder(runner, cfg)
            try:
                runner.train()
            finally:
                _close_screen(runner)
                write_skipped_rows(runner)
    finally:
        lock.release()
    if model is not None:
        _tell_classes(model, runner.train_loop.dataloader.dataset)
    run = finished(runner, runner.val_loop if cfg.get("val_cfg") else None)
    return replace(run, notes=(note,) if note else ())


@run_log()
def run_test(cfg: Config, model: Any = None) -> Run:
    """Test by a prepared config, in this process.

    Args:
        cfg: From `prepare_test_config`.
        model: A detector that is built; None for the config's.

    Raises:
        DeepLakeMMDetError: See `make_runner` and `check_merges`.
    """
    with settings_restored(), failures_named(cfg), lost_workers_named(lambda: None):
        runner = make_runner(cfg, model, only_test=True)
        check_merges(runner.model)
        _show_in_folder(runner, cfg)
        try:
            metrics = runner.test()
        finally:
            _close_screen(runner)
    write_skipped_rows(runner)
    return finished(runner, runner.test_loop, metrics)


def _close_screen(runner: Any) -> None:
    for hook in runner.hooks:
        if isinstance(hook, ProgressHook):
            hook.close()


def _show_in_folder(runner: Runner, cfg: Config) -> None:
    """Have the run's folder show what the run is like."""
    runner.register_hook(ResultsTableHook())
    runner.register_hook(KeptPredictionsHook())
    if wants_pictures(cfg):
        runner.register_hook(RunPicturesHook())


def _launcher(launcher: str | None, processes: bool | int | None) -> str | None:
    if not processes:
        return launcher
    if launcher not in (None, "none"):
        raise ConfigError(
            f"The launcher {launcher!r} has started the processes already",
            where="arguments launcher and processes",
            advice="leave one of them out",
        )
    return "pytorch"


def _check_restarts(count: int, processes: bool | int | None) -> None:
    if type(count) is not int or count < 0:
        raise ConfigError(
            f"A run cannot be restarted {count!r} times",
            where="argument max_restarts, --max-restarts",
            advice="give a whole number from 0 on",
        )
    if count and not processes:
        raise ConfigError(
            "Only processes that this command starts can be started again",
            where="argument max_restarts, --max-restarts",
            advice="add --processes N (1 will do); under torchrun give it --max-restarts, and --resume here",
        )


def _start(function: Any, cfg: Config, processes: bool | int | None) -> Run:
    if not processes:
        return function(cfg)  # type: ignore[no-any-return]
    return run_in_children(function, cfg, processes=count_processes(processes))  # type: ignore[no-any-return]


def _tell_classes(model: Any, dataset: Any) -> None:
    """Leave the class names where MMDetection 3.x and 2.x look for them."""
    metainfo = dict(dataset.metainfo)
    model.dataset_meta = metainfo
    if not getattr(model, "CLASSES", None):
        model.CLASSES = metainfo.get("classes")
