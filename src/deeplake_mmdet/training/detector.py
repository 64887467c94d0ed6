"""Training and testing a detector that the caller has built: the old integration's functions."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config import (
    check_data,
    check_order,
    extract_secrets,
    innermost_of,
    keep_reading_notes,
    read_config,
    reading_notes,
    redact,
)
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import check_shapes, is_legacy, old_keys
from deeplake_mmdet.terminal.run_log import run_log
from deeplake_mmdet.training.building import give_preprocessor, plain
from deeplake_mmdet.training.given import Given
from deeplake_mmdet.training.parts_check import check_parts, without_amp_on_cpu
from deeplake_mmdet.training.prepare import check_splits, check_trains, prepare_config, prepare_test_config
from deeplake_mmdet.training.pretrained import check_pretrained
from deeplake_mmdet.training.processes.children import run_in_children
from deeplake_mmdet.training.processes.launch import count_processes, running_launcher
from deeplake_mmdet.training.result import Run
from deeplake_mmdet.training.resume.checkpoint_files import usable_checkpoint
from deeplake_mmdet.training.run import run_test, run_training
from deeplake_mmdet.training.tta import augmented

__all__ = ["test_detector", "train_detector"]

_log = logging.getLogger("deeplake_mmdet")


@run_log()
def train_detector(
    model: Any,
    cfg: str | Path | Config | Mapping[str, Any],
    ds_train: Any = None,
    ds_train_tensors: Mapping[str, str] | None = None,
    ds_val: Any = None,
    ds_val_tensors: Mapping[str, str] | None = None,
    distributed: bool | int = False,
    timestamp: str | None = None,
    meta: Mapping[str, Any] | None = None,
    validate: bool = True,
) -> Run:
    """Train a detector by a config for MMDetection 2.x (with or without ``deeplake_*`` keys) or 3.x.

    Args:
        model: A detector. It is trained in place, but with ``distributed`` in new processes: then its
            trained weights are those of the returned run's checkpoints.
        cfg: The config, or its file; not changed. Its ``model`` is not built.
        ds_train: An opened Deep Lake dataset or view (or a lake's path) in place of the config's.
        ds_train_tensors: Column names by role, e.g. ``dict(gt_bboxes='boxes')``; they win over the config's,
            which win over what the column types tell.
        ds_val: An opened dataset or view (or a lake's path) to validate on, in place of the config's.
        ds_val_tensors: Column names by role for validation; they win over the config's.
        distributed: Train in several processes: one per visible GPU, or as many as the number given, which
            gloo joins on the CPU. In processes that torchrun or a slurm step has started, these are joined.
        timestamp: Names the ``.log`` and the ``.json`` file of the run; None for the time.
        meta: Entries for the ``meta`` of the checkpoints.
        validate: Whether to validate while training; the config needs no validation data if not.

    Returns:
        The run: metrics, checkpoints, work dir (``./work_dirs/<config name>`` if the config sets none).

    Raises:
        DeepLakeMMDetError: Config, data or arguments cannot be used; raised before the first iteration.
    """
    given = Given("train", ds_train, ds_train_tensors), Given("val", ds_val, ds_val_tensors)
    launcher = (running_launcher() or "pytorch") if distributed else "none"
    if distributed:
        _check_shared(given)
    raw = _raw(cfg)
    prepared = _prepared(raw, given, launcher, validate=validate)
    check_trains(prepared)
    without_amp_on_cpu(prepared)
    if validate:
        _check_validation(prepared)
    else:
        _drop_validation(prepared)
        if given[1].has_data or given[1].tensors:
            _log.info("validate=False: ds_val and ds_val_tensors are not used")
    check_splits(prepared, ("train", "val"))
    check_data(prepared, ("train", "val"), model=False)
    meta = None if meta is None else _clean(meta, raw)
    give_preprocessor(model, prepared)
    _compare_classes(model, prepared)
    check_parts(prepared, training=True, model=False)
    check_pretrained(prepared, model)
    options: dict[str, Any] = {"timestamp": timestamp, "meta": meta}
    if not distributed or running_launcher():
        return run_training(prepared, model, **options)
    count = count_processes(distributed)
    run: Run = run_in_children(run_training, prepared, model, processes=count, **options)
    return run


@run_log()
def test_detector(
    model: Any,
    cfg: str | Path | Config | Mapping[str, Any],
    checkpoint: str | Path | None = None,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    distributed: bool | int = False,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    allow_partial: bool = False,
    overwrite: bool = False,
) -> Run:
    """Evaluate a detector that is already built on a config's ``test_dataloader``.

    Args:
        model: A detector, as MMDetection builds it.
        cfg: The config, or its file; its ``model`` is not built.
        checkpoint: Weights to load first; the model's own otherwise.
        work_dir: Folder of the run; else the config's ``work_dir``, else ``work_dirs/<config name>``.
        cfg_options: Changes by dotted key.
        launcher: How processes were started: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        distributed: Test in several processes: one per visible GPU, or as many as the number given.
        out: File for the predictions.
        show_dir: Folder for drawings.
        tta: Whether each image is tested in several versions.
        allow_partial: Test a checkpoint that holds only a part of the model's weights.
        overwrite: Replace the file ``out``, and draw into a ``show_dir`` that has files in it.

    Returns:
        The run: metrics and work dir.

    Raises:
        ImportRefusedError: ``out`` is there already, or ``show_dir`` is not empty.
        DeepLakeMMDetError: Config, checkpoint or data cannot be used.
    """
    check_order(cfg, checkpoint)
    if distributed:
        launcher = launcher or running_launcher() or "pytorch"
    prepared = prepare_test_config(
        _raw(cfg), work_dir=work_dir, cfg_options=cfg_options, launcher=launcher, out=out, show_dir=show_dir,
        tta=tta, overwrite=overwrite,
    )  # fmt: skip
    prepared.load_from = None if checkpoint is None else str(usable_checkpoint(checkpoint))
    prepared.allow_partial = bool(allow_partial or prepared.get("allow_partial", False))
    check_data(prepared, ("test",), model=False)
    check_parts(prepared, training=False, model=False)
    give_preprocessor(model, prepared)
    model = augmented(model, prepared) if tta else model
    if not distributed or running_launcher():
        return run_test(prepared, model)
    run: Run = run_in_children(run_test, prepared, model, processes=count_processes(distributed))
    return run


def _raw(cfg: str | Path | Config | Mapping[str, Any]) -> Config:
    if isinstance(cfg, Config):
        return cfg
    return Config(plain(cfg)) if isinstance(cfg, Mapping) else read_config(cfg)


def _prepared(raw: Config, given: tuple[Given, Given], launcher: str, *, validate: bool) -> Config:
    """The config in 3.x, reading what was given."""
    content = copy.deepcopy(raw.to_dict())
    train, val = given
    also = None
    if not old_keys(content) and is_legacy(content):
        check_shapes(content)
        if not validate:
            (content.get("data") or {}).pop("val", None)
            content.pop("evaluation", None)
        also = "test" if "test" in (content.get("data") or {}) and val.has_data else None
        for one in given if validate else (train,):
            one.mark(content)

    def put(converted: dict[str, Any]) -> None:
        train.apply(converted)
        if validate:
            val.apply(converted, also=also)

    used = any(one.has_data or one.tensors for one in (given if validate else (train,)))
    return prepare_config(_with_content(raw, content), launcher=launcher, given=put if used else None)


def _with_content(raw: Config, content: dict[str, Any]) -> Config:
    cfg = Config(content, filename=raw.filename, cfg_text=raw.text)
    keep_reading_notes(cfg, reading_notes(raw))
    return cfg


def _check_shared(given: tuple[Given, Given]) -> None:
    for one in given:
        if one.local:
            raise ConfigError(
                f"Several processes cannot train on this ds_{one.split}: it stands in no storage",
                where=f"argument ds_{one.split}",
                advice="commit it to a folder or an address, or train with distributed=False",
            )


def _check_validation(cfg: Config) -> None:
    if not cfg.get("val_dataloader"):
        raise ConfigError(
            "There is nothing to validate on",
            where="config key 'val_dataloader', in a 2.x config 'data.val'",
            advice="set data.val.deeplake_path, pass ds_val, or say validate=False",
        )


def _drop_validation(cfg: Config) -> None:
    for key in ("val_dataloader", "val_cfg", "val_evaluator"):
        cfg[key] = None
    checkpoint = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    for key in ("save_best", "rule"):
        checkpoint.pop(key, None)


def _clean(meta: Mapping[str, Any], raw: Config) -> dict[str, Any]:
    """``meta`` without the secrets that stand in the config: old scripts put its whole text there."""
    _, secrets = extract_secrets(raw.to_dict())
    content, own = extract_secrets(dict(meta), refuse=False)
    hidden = secrets | own
    return {key: redact(value, hidden) if isinstance(value, str) else value for key, value in content.items()}


def _compare_classes(model: Any, cfg: Config) -> None:
    named = getattr(model, "CLASSES", None)
    first = next(innermost_of(cfg, "train"))
    chosen = (first.node.get("metainfo") or {}).get("classes")
    if named and chosen and list(named) != list(chosen):
        _log.info("model.CLASSES differ from the config's classes; the config's are what labels mean")
