"""One training or test run from a config, as the commands start it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from deeplake_mmdet.config import load_config, use_lake_metrics
from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.ops import log_ops_in_use
from deeplake_mmdet.training.predictions import draw_predictions, keep_predictions
from deeplake_mmdet.training.skipped import write_skipped_rows

__all__ = ["Run", "test", "test_detector", "train"]


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes:
        work_dir: Its folder.
        metrics: The last evaluation's results by key, e.g. ``coco/bbox_mAP``.
        class_scores: The last evaluation's results by class, if the metric keeps them.
        best_checkpoint: The best checkpoint by ``save_best``, if one was kept.
        last_checkpoint: The newest checkpoint, if one was written.
    """

    work_dir: Path
    metrics: dict[str, float] = field(default_factory=dict)
    class_scores: tuple[Any, ...] = ()
    best_checkpoint: Path | None = None
    last_checkpoint: Path | None = None


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    resume: bool | str | Path = False,
    amp: bool = False,
    auto_scale_lr: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
) -> Run:
    """Train the detector that a config describes.

    Args:
        config: Config file, or a loaded config, which is not changed.
        work_dir: Folder of the run; else the config's ``work_dir``, else ``work_dirs/<config name>``.
        resume: True for the newest checkpoint in the work dir, or a checkpoint file.
        amp: Train in mixed precision (GPU only).
        auto_scale_lr: Scale the learning rate by the config's ``auto_scale_lr.base_batch_size``.
        cfg_options: Changes by dotted key.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, as in mmengine.

    Raises:
        DeepLakeMMDetError: Config or data cannot be used; raised before the first iteration.
    """
    cfg = _prepared(config, work_dir, cfg_options, launcher)
    if amp:
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
        cfg.load_from = None if resume is True else str(_existing(resume))
    runner = _runner(cfg)
    try:
        runner.train()
    finally:
        write_skipped_rows(runner)
    return _finished(runner, runner.val_loop if cfg.get("val_cfg") else None)


def test(
    config: str | Path | Config,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
) -> Run:
    """Evaluate a checkpoint on the config's ``test_dataloader``.

    Arguments as for `train`, and:

    Args:
        checkpoint: File written by `train`.
        out: Also write the predictions to this ``.json`` (COCO results) or ``.parquet`` file.
        show_dir: Also draw every image with its predictions into this folder.

    Raises:
        DeepLakeMMDetError: Config, checkpoint or data cannot be used.
    """
    cfg = _prepared_test(config, work_dir, cfg_options, launcher, out, show_dir)
    cfg.load_from = str(_existing(checkpoint))
    runner = _runner(cfg)
    metrics = runner.test()
    write_skipped_rows(runner)
    return _finished(runner, runner.test_loop, metrics)


def test_detector(
    model: Any,
    cfg: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
) -> Run:
    """Evaluate a detector that is already built on a config's ``test_dataloader``.

    Args:
        model: A detector, as MMDetection builds it.
        cfg: The config, or its file; its ``model`` is not used.
        checkpoint: Weights to load first; the model's own otherwise.
        work_dir: As for `test`; likewise the following.
        cfg_options: Changes by dotted key.
        launcher: How processes were started: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        out: File for the predictions.
        show_dir: Folder for drawings.

    Raises:
        DeepLakeMMDetError: Config, checkpoint or data cannot be used.
    """
    prepared = _prepared_test(cfg, work_dir, cfg_options, launcher, out, show_dir)
    keys = (
        *("work_dir", "test_dataloader", "test_cfg", "test_evaluator", "default_hooks", "custom_hooks"),
        *("launcher", "log_processor", "log_level", "visualizer", "default_scope"),
    )
    options = {key: prepared[key] for key in keys if key in prepared}
    options["env_cfg"] = prepared.get("env_cfg", {"dist_cfg": {"backend": "nccl"}})
    options["randomness"] = prepared.get("randomness", {"seed": None})
    runner = Runner(
        model=model, load_from=None if checkpoint is None else str(_existing(checkpoint)),
        experiment_name=prepared.get("experiment_name"), cfg=prepared, **options,
    )  # fmt: skip
    log_ops_in_use()
    metrics = runner.test()
    write_skipped_rows(runner)
    return _finished(runner, runner.test_loop, metrics)


def _prepared_test(
    config: str | Path | Config,
    work_dir: str | Path | None,
    cfg_options: Mapping[str, Any] | None,
    launcher: str,
    out: str | Path | None,
    show_dir: str | Path | None,
) -> Config:
    cfg = _prepared(config, work_dir, cfg_options, launcher)
    if not cfg.get("test_dataloader"):
        raise ConfigError(
            "The config has nothing to test on",
            where="config key 'test_dataloader'",
            advice="write test_dataloader = val_dataloader, and the same for test_cfg and test_evaluator",
        )
    cfg.resume = False
    if out is not None:
        keep_predictions(cfg, out)
    if show_dir is not None:
        draw_predictions(cfg, show_dir)
    return cfg


def _prepared(
    config: str | Path | Config,
    work_dir: str | Path | None,
    cfg_options: Mapping[str, Any] | None,
    launcher: str,
) -> Config:
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
        if cfg_options:
            cfg.merge_from_dict(dict(cfg_options))
    else:
        cfg = load_config(config, cfg_options)
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif not cfg.get("work_dir"):
        cfg.work_dir = str(Path("work_dirs") / Path(cfg.filename or "run").stem)
    cfg.launcher = launcher
    cfg.setdefault("default_scope", "mmdet")
    # Under a fixed name, as stock configs have it, a process's second run would write to the first one's
    # folder; without one MMEngine takes the run's own.
    if "visualizer" in cfg:
        cfg.visualizer.pop("name", None)
    use_lake_metrics(cfg)
    return cfg


def _runner(cfg: Config) -> Runner:
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    log_ops_in_use()
    return runner


def _existing(checkpoint: str | Path | bool) -> Path:
    path = Path(str(checkpoint)).expanduser()
    if not path.is_file():
        raise SourceNotFoundError("There is no such checkpoint", where=str(path))
    return path


def _finished(runner: Runner, loop: Any, metrics: Mapping[str, float] | None = None) -> Run:
    work_dir = Path(runner.work_dir)
    found = metrics if metrics is not None else _last_metrics(runner)
    scores: tuple[Any, ...] = ()
    for metric in loop.evaluator.metrics if loop is not None else ():
        scores = getattr(metric, "class_scores", None) or scores
    best = sorted(work_dir.glob("best_*.pth"), key=lambda path: path.stat().st_mtime)
    last = work_dir / "last_checkpoint"
    return Run(
        work_dir=work_dir,
        metrics={key: float(value) for key, value in found.items()},
        class_scores=tuple(scores),
        best_checkpoint=best[-1] if best else None,
        last_checkpoint=Path(last.read_text().strip()) if last.is_file() else None,
    )


def _last_metrics(runner: Runner) -> dict[str, float]:
    history = runner.message_hub.log_scalars
    return {
        key.removeprefix("val/"): float(buffer.current())
        for key, buffer in history.items()
        if key.startswith("val/") and not key.startswith(("val/time", "val/data_time"))
    }
