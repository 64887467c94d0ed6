"""Everything that our doors do to a config before a runner sees it."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config import (
    check_order,
    drop_useless_handles,
    innermost_of,
    note_level,
    read_config,
    take_in_with_notes,
    use_fast_loaders,
    use_lake_metrics,
)
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.terminal.run_log import begin_run_log
from deeplake_mmdet.training.predictions import draw_predictions, keep_predictions
from deeplake_mmdet.training.processes.launch import LAUNCHERS, on_cpu, running_launcher
from deeplake_mmdet.training.resume.in_config import keep_run_state
from deeplake_mmdet.training.tta import augment_tests

__all__ = [
    "CONVERSION",
    "check_splits",
    "check_trains",
    "prepare_config",
    "prepare_test_config",
]

_log = logging.getLogger("deeplake_mmdet")

_SPLIT_PARTS = {
    "dataloader": "write {split}_dataloader=dict(batch_size=2, num_workers=2, sampler=dict(...), "
    "dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=...))",
    "cfg": "write {split}_cfg=dict(type='{loop}Loop')",
    "evaluator": "write {split}_evaluator=dict(type='deeplake_mmdet.CocoMetric', metric='bbox')",
    "wrapper": "write optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))",
}
#: Key under which a prepared config tells `make_runner` what a conversion has changed.
CONVERSION = "conversion_notes"


def prepare_config(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    given: Callable[[dict[str, Any]], None] | None = None,
) -> Config:
    """A config of any version as our runs use it.

    Args:
        config: File, or a loaded config, which is not changed; 2.x ones are converted.
        work_dir: Folder of the run; else the config's ``work_dir``, else ``work_dirs/<config name>``.
        cfg_options: Changes by dotted key.
        launcher: One of ``LAUNCHERS``; None for the one that has started this process, if any.
        given: Puts what the caller gives beside the config into its 3.x content, in place.

    Returns:
        A 3.x config, with the notes of a conversion under `CONVERSION`, as levels and texts.

    Raises:
        DeepLakeMMDetError: The config cannot be used.
    """
    begin_run_log()
    check_order(config)
    raw = config if isinstance(config, Config) else read_config(config)
    cfg, notes = take_in_with_notes(raw, cfg_options, given)
    if notes:
        cfg[CONVERSION] = [*cfg.get(CONVERSION, ()), *((note_level(note), str(note)) for note in notes)]
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif not cfg.get("work_dir"):
        cfg.work_dir = str(Path("work_dirs") / Path(cfg.filename or "run").stem)
    _check_work_dir(Path(cfg.work_dir))
    _check_values(cfg)
    cfg.setdefault("default_scope", "mmdet")
    _use_launcher(cfg, launcher)
    # Under a fixed name, as stock configs have it, a process's second run would write to the first one's
    # folder; without one MMEngine takes the run's own.
    if cfg.get("visualizer"):
        cfg.visualizer.pop("name", None)
    drop_useless_handles(cfg._cfg_dict)
    use_lake_metrics(cfg)
    use_fast_loaders(cfg)
    keep_run_state(cfg)
    return cfg


def prepare_test_config(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    overwrite: bool = False,
) -> Config:
    """A config of any version as our test runs use it.

    Args:
        config: File, or a loaded config, which is not changed; 2.x ones are converted.
        work_dir: Folder of the run; else the config's ``work_dir``, else ``work_dirs/<config name>``.
        cfg_options: Changes by dotted key.
        launcher: One of ``LAUNCHERS``; None for the one that has started this process, if any.
        out: File for the predictions.
        show_dir: Folder for drawings.
        tta: Whether images come in several versions; see `augment_tests`.
        overwrite: Whether ``out`` and the files in ``show_dir`` may be replaced.

    Returns:
        A 3.x config with a ``test_dataloader``.

    Raises:
        ImportRefusedError: ``out`` is there already, or ``show_dir`` is not empty.
        DeepLakeMMDetError: The config cannot be used, or has nothing to test on.
    """
    cfg = prepare_config(config, work_dir=work_dir, cfg_options=cfg_options, launcher=launcher)
    _use_validation(cfg)
    _check_names_data(cfg, "test")
    check_splits(cfg, ("test",))
    cfg.resume = False
    if out is not None:
        keep_predictions(cfg, out, overwrite=overwrite)
    if show_dir is not None:
        draw_predictions(cfg, show_dir, overwrite=overwrite)
    if tta:
        augment_tests(cfg)
    return cfg


def check_trains(cfg: Config) -> None:
    """Refuse a prepared config that says nothing of the data to train on, or to validate on.

    Args:
        cfg: From `prepare_config`.

    Raises:
        ConfigError: It has no ``train_dataloader``, a dataset without a type, or no iteration to train for.
    """
    if not cfg.get("train_dataloader"):
        raise ConfigError(
            "The config has nothing to train on",
            where="config key 'train_dataloader', in a 2.x config 'data.train'",
            advice="set data.train.deeplake_path, or pass ds_train to train_detector",
        )
    for key in ("max_epochs", "max_iters", "val_interval"):
        length = (cfg.get("train_cfg") or {}).get(key)
        if isinstance(length, int) and length < 1:
            raise ConfigError(
                f"{key} is {length}: there is nothing to do",
                where=f"config key 'train_cfg.{key}'",
                advice="give a number from 1 on",
            )
    _check_names_data(cfg, "train")
    _check_names_data(cfg, "val")


def check_splits(cfg: Config, splits: Sequence[str]) -> None:
    """Refuse splits that the config describes in part: data without a loop or an evaluator, say.

    Args:
        cfg: From `prepare_config`.
        splits: Of ``train``, ``val`` and ``test``.

    Raises:
        ConfigError: Something is missing; what, and how to do without the split.
    """
    for split in splits:
        keys = [f"{split}_{part}" for part in ("dataloader", "cfg", "evaluator")]
        if split == "train":
            keys[2] = "optim_wrapper"
        lacking = [key for key in keys if cfg.get(key) is None]
        if not lacking or len(lacking) == len(keys):
            continue
        first, how = lacking[0], _SPLIT_PARTS[lacking[0].partition("_")[2]]
        if split != "train":
            how += f"; or set {', '.join(keys)} to None, to do without"
        raise ConfigError(
            f"The config has {' and '.join(key for key in keys if key not in lacking)}, but no "
            f"{' and no '.join(lacking)}",
            where=f"config key {first!r}",
            advice=how.format(
                split=split, loop={"train": "EpochBasedTrain", "val": "Val", "test": "Test"}[split]
            ),
        )


def _use_validation(cfg: Config) -> None:
    """Let a config without test data test on its validation data, as far as it says nothing else.

    Raises:
        ConfigError: It has neither, or refuses to.
    """
    if cfg.get("test_dataloader"):
        return
    if not cfg.get("val_dataloader") or "test_dataloader" in cfg:
        raise ConfigError(
            "The config has nothing to test on",
            where="config key 'test_dataloader', in a 2.x config 'data.test'",
            advice="give it one; in a 2.x config data.test or data.val. A data.test that normalises images "
            "in another way than training needs a config of its own, without data.train",
        )
    _log.info("The config has no test data: its validation data are tested on")
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    if not cfg.get("test_evaluator"):
        cfg.test_evaluator = copy.deepcopy(cfg.get("val_evaluator"))
    if not cfg.get("test_cfg"):
        kind = str((cfg.get("val_cfg") or {}).get("type", "ValLoop"))
        own = {key: value for key, value in (cfg.get("val_cfg") or {}).items() if key == "fp16"}
        if kind.rpartition(".")[2] != "ValLoop":
            _log.info(f"val_cfg is a {kind}: the test runs in MMEngine's TestLoop")
        cfg.test_cfg = {"type": "TestLoop", **own}


def _check_names_data(cfg: Config, split: str) -> None:
    """Refuse a split's datasets that have no type, or, lakes, no pipeline."""
    if isinstance((cfg.get(f"{split}_dataloader") or {}).get("dataset"), (list, tuple)):
        raise ConfigError(
            f"The {split} dataset is a list",
            where=f"config key '{split}_dataloader.dataset'",
            advice="write dataset=dict(type='ConcatDataset', datasets=[...]), or the dataset itself",
        )
    for place in innermost_of(cfg, split):
        dataset = place.node
        where = f"config key '{split}_dataloader.dataset', in a 2.x config 'data.{split}'"
        lake = str(dataset.get("type")).rpartition(".")[2] == "DeepLakeDataset"
        if not dataset.get("type") or (lake and not (dataset.get("path") or dataset.get("query"))):
            given = {"train": "ds_train", "val": "ds_val"}.get(split)
            raise ConfigError(
                f"The {split} data are not named",
                where=where,
                advice=f"set data.{split}.deeplake_path, or type and ann_file"
                + (f", or pass {given} to train_detector" if given else ""),
            )
        if lake and not any(place.pipelines):
            raise ConfigError(
                f"The {split} data have no pipeline",
                where=where,
                advice="give the dataset its pipeline=[...]",
            )


def _check_values(cfg: Config) -> None:
    """Refuse values that MMEngine cannot use and does not name."""
    seed = (cfg.get("randomness") or {}).get("seed")
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    scope = str(cfg.get("default_scope") or "mmdet").partition(".")[0]
    for key, value, fits, what in (
        ("default_scope", scope, find_spec(scope) is not None, "'mmdet', or install that package"),
        ("randomness.seed", seed, isinstance(seed, int), "a whole number, or None"),
        (
            "log_level",
            cfg.get("log_level"),
            isinstance(cfg.get("log_level"), int) or str(cfg.get("log_level")) in levels,
            f"one of {', '.join(levels)}",
        ),
    ):
        if value is not None and not fits:
            raise ConfigError(f"{key} is {value!r}", where=f"config key {key!r}", advice=f"write {what}")


def _check_work_dir(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; none is made yet."""
    place = folder.expanduser().absolute()
    while not place.exists() and place.parent != place:
        place = place.parent
    problem = (
        "is a file" if not place.is_dir() else "cannot be written to" if not os.access(place, os.W_OK) else ""
    )
    if problem:
        raise ConfigError(
            f"The run's folder cannot be used: {place} {problem}",
            where=f"--work-dir, or config key 'work_dir'={str(folder)!r}",
            advice="choose another folder",
        )


def _use_launcher(cfg: Config, launcher: str | None) -> None:
    cfg.launcher = launcher or running_launcher() or "none"
    if cfg.launcher not in LAUNCHERS:
        raise ConfigError(
            f"Unknown launcher {cfg.launcher!r}",
            where="launcher",
            advice=f"known are {', '.join(LAUNCHERS)}",
        )
    if cfg.launcher == "none" or not on_cpu():
        return
    # MMEngine's own choice names a GPU.
    wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": False}
    wrapper["find_unused_parameters"] = bool(cfg.get("find_unused_parameters", False))
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get("model_wrapper_cfg") or {}), "device_ids": None}
