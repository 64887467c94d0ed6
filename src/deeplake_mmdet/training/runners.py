"""Runners for configs, with or without a detector that is built already."""

from __future__ import annotations

import copy
import itertools
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import is_model_wrapper, revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, load_state_dict

from deeplake_mmdet.config import SPLITS, fast_loaders
from deeplake_mmdet.environment import check_private_names
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading import is_asked_for
from deeplake_mmdet.ops import log_ops_in_use
from deeplake_mmdet.terminal import readable_lines
from deeplake_mmdet.terminal.run_log import own_screen, put_early_lines
from deeplake_mmdet.training.class_order import settle_classes
from deeplake_mmdet.training.hooks.checkpoint_check import CheckpointCheckHook
from deeplake_mmdet.training.hooks.class_check import ClassCheckHook
from deeplake_mmdet.training.hooks.default import EvaluationCheckHook, MetaHook, SeparateEvaluationHook
from deeplake_mmdet.training.hooks.progress import ProgressHook
from deeplake_mmdet.training.hooks.statistics import StatisticsHook
from deeplake_mmdet.training.prepare import CONVERSION
from deeplake_mmdet.training.pretrained import local_weights, vet_pretrained
from deeplake_mmdet.training.processes.launch import join, on_cpu
from deeplake_mmdet.training.resume.checkpoint_files import check_load_from, read_checkpoint
from deeplake_mmdet.training.resume.checkpoint_reading import is_trusted
from deeplake_mmdet.training.work_dir_lock import WorkDirLock, take_on_first_rank

__all__ = ["make_runner"]

_log = logging.getLogger("deeplake_mmdet")

# What Runner.from_cfg hands on of a config, but the model.
_OPTIONS = (
    *("work_dir", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg"),
    *(
        "test_cfg",
        "auto_scale_lr",
        "optim_wrapper",
        "param_scheduler",
        "val_evaluator",
        "test_evaluator",
        "load_from",
    ),
    *("default_hooks", "custom_hooks", "data_preprocessor", "resume", "launcher", "env_cfg", "log_processor"),
    *("log_level", "visualizer", "default_scope", "randomness", "experiment_name"),
)
_runs = itertools.count(1)
_TESTING = ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "val_dataloader", "val_cfg")


def make_runner(
    cfg: Config,
    model: Any = None,
    *,
    timestamp: str | None = None,
    meta: Mapping[str, Any] | None = None,
    only_test: bool = False,
    lock: WorkDirLock | None = None,
    keeps_config: bool = True,
) -> Runner:
    """Join the other processes, if there are any, put classes in order, and build the runner.

    Args:
        cfg: From `prepare_config`; not changed.
        model: A detector; the config's otherwise.
        timestamp: Names the run's log files; the time otherwise.
        meta: For the ``meta`` of every checkpoint.
        only_test: Leave training and validation out.
        lock: Of the work dir; taken by the first process before anything is written there.
        keeps_config: Whether the config is to be left in the work dir, which takes a second.

    Raises:
        InstallError: The installed packages lack what this one uses.
        ConfigError: Another training has the lock.
        ConfigError: There is no model, or the timestamp cannot be part of a file's name.
        DeepLakeMMDetError: See `settle_classes`; and the checkpoint may be none.
    """
    check_private_names()
    if model is None and not cfg.get("model"):
        raise ConfigError("The config describes no model", where="config key 'model'")
    join(str(cfg.launcher), (cfg.get("env_cfg") or {}).get("dist_cfg", {}).get("timeout"))
    cfg = copy.deepcopy(cfg)
    converted = cfg.pop(CONVERSION, ())
    check_load_from(cfg)
    vet_pretrained(cfg, model, only_built=only_test)
    notes = settle_classes(cfg, model, only_test=only_test)
    left_out = (*_TESTING, "val_evaluator", "auto_scale_lr") if only_test else ()
    options = {key: cfg[key] for key in _OPTIONS if cfg.get(key) is not None and key not in left_out}
    base = RUNNERS.get(cfg.runner_type) if "runner_type" in cfg else Runner
    splits = ("test",) if only_test else SPLITS
    options |= {key: loader for key, loader in fast_loaders(cfg, splits).items() if key in options}
    options |= _own_name(cfg, next(_runs))
    given = {"given_timestamp": _checked(timestamp), "given_lock": lock, "keeps_config": keeps_config}
    kind = type(base.__name__, (_Given, base), given)
    runner = kind(model=cfg.model if model is None else model, cfg=cfg, **options)
    put_early_lines(runner.logger, converted)
    for note in notes:
        runner.logger.log(note.level, note.text)
    runner.register_hook(CheckpointCheckHook(allow_partial=bool(cfg.get("allow_partial", False))))
    runner.register_hook(ClassCheckHook())
    if not only_test:
        runner.register_hook(EvaluationCheckHook())
    runner.register_hook(SeparateEvaluationHook())
    if meta:
        runner.register_hook(MetaHook(meta))
    if is_asked_for():
        runner.register_hook(StatisticsHook())
    if not any(isinstance(hook, ProgressHook) for hook in runner.hooks):
        runner.register_hook(ProgressHook())
    log_ops_in_use()
    return runner


def _own_name(cfg: Config, run: int) -> dict[str, str]:
    """The experiment's name for a process's later runs.

    MMEngine keeps loggers and the history of metrics by this name and the second of the start: of two short
    runs in one second, the later would write into the earlier one's log and return its metrics.
    """
    if run == 1:
        return {}
    name = cfg.get("experiment_name") or (Path(cfg.filename).stem if cfg.filename else "run")
    return {"experiment_name": f"{name}_{run}"}


class _Given:
    """A runner's mixin for what MMEngine's runner cannot be given."""

    given_timestamp: str | None = None
    given_lock: WorkDirLock | None = None
    keeps_config = True

    def dump_config(self) -> None:
        """Leave the config in the work dir, if it is to be kept."""
        if self.keeps_config:
            super().dump_config()  # type: ignore[misc]

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Take the lock, as processes know of each other now and nothing is written; name the log files."""
        super().setup_env(env_cfg)  # type: ignore[misc]
        if self.given_lock is not None:
            take_on_first_rank(self.given_lock)
        if self.given_timestamp is not None:
            self._timestamp = self.given_timestamp

    def build_logger(self, *args: Any, **options: Any) -> Any:
        """MMEngine's, whose stream of lines goes to its file; the screen gets what is for people."""
        logger = super().build_logger(*args, **options)  # type: ignore[misc]
        own_screen(logger)
        logger.addFilter(readable_lines)
        return logger

    def wrap_model(self, model_wrapper_cfg: Any, model: Any) -> Any:
        """Several processes on the CPU have no synchronised batch norm."""
        if model_wrapper_cfg is not None and on_cpu():
            model = revert_sync_batchnorm(model)
        wrapped = super().wrap_model(model_wrapper_cfg, model)  # type: ignore[misc]
        # Of old scripts: MMEngine takes a GPU if there is one. Batches follow the model.
        return wrapped.to("cpu") if self.cfg.get("device") == "cpu" else wrapped  # type: ignore[attr-defined]

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = "cpu",
        strict: bool = False,
        revise_keys: Any = ((r"^module.", ""),),
    ) -> dict[str, Any]:
        """MMEngine's, but the file is read as data, and the config inside it is never run."""
        if is_trusted():
            return super().load_checkpoint(filename, map_location, strict, list(revise_keys))  # type: ignore[misc,no-any-return]
        file = local_weights(str(filename), f"checkpoint {filename}")
        checkpoint = read_checkpoint(file, map_location=map_location, mmap=False)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)  # type: ignore[attr-defined]
        if isinstance(meta := checkpoint.get("meta"), dict):
            meta.pop("config", None)
        weights = checkpoint["state_dict"]
        for pattern, new in revise_keys:
            weights = OrderedDict((re.sub(pattern, new, name), value) for name, value in weights.items())
        weights._metadata = getattr(checkpoint["state_dict"], "_metadata", OrderedDict())
        model = self.model  # type: ignore[attr-defined]
        load_state_dict(model.module if is_model_wrapper(model) else model, weights, strict, "current")
        self._has_loaded = True
        self.logger.info(f"Load checkpoint from {filename}")  # type: ignore[attr-defined]
        return checkpoint

    def _init_model_weights(self) -> None:
        # Some detectors draw new weights each time they are asked to, whatever they have loaded since.
        model = getattr(self.model, "module", self.model)  # type: ignore[attr-defined]
        if getattr(model, "is_init", False):
            _log.info("The detector has weights already: init_weights() is not called again")
        else:
            super()._init_model_weights()  # type: ignore[misc]


def _checked(timestamp: str | None) -> str | None:
    if timestamp is None:
        return None
    name = str(timestamp)
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ConfigError(
            f"{name!r} cannot be part of a file's name",
            where="argument timestamp",
            advice="use time.strftime('%Y%m%d_%H%M%S')",
        )
    return name
