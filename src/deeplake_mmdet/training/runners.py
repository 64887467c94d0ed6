"""Runners for configs, with or without a detector that is built already."""

from __future__ import annotations

import copy
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.loading import is_asked_for
from deeplake_mmdet.ops import log_ops_in_use
from deeplake_mmdet.training.checkpoint_files import check_load_from
from deeplake_mmdet.training.class_check import ClassCheckHook
from deeplake_mmdet.training.class_order import settle_classes
from deeplake_mmdet.training.hooks import EvaluationCheckHook, MetaHook, SeparateEvaluationHook
from deeplake_mmdet.training.launch import join, on_cpu
from deeplake_mmdet.training.prepare import CONVERSION
from deeplake_mmdet.training.statistics_hook import StatisticsHook
from deeplake_mmdet.training.weights_hook import CheckpointCheckHook

__all__ = ["make_runner"]

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
_TESTING = ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "val_dataloader", "val_cfg")


def make_runner(
    cfg: Config,
    model: Any = None,
    *,
    timestamp: str | None = None,
    meta: Mapping[str, Any] | None = None,
    only_test: bool = False,
) -> Runner:
    """Join the other processes, if there are any, put classes in order, and build the runner.

    Args:
        cfg: From `prepare_config`; not changed.
        model: A detector; the config's otherwise.
        timestamp: Names the run's log files; the time otherwise.
        meta: For the ``meta`` of every checkpoint.
        only_test: Leave training and validation out.

    Raises:
        ConfigError: There is no model, or the timestamp cannot be part of a file's name.
        DeepLakeMMDetError: See `settle_classes`; and the checkpoint may be none.
    """
    if model is None and not cfg.get("model"):
        raise ConfigError("The config describes no model", where="config key 'model'")
    join(str(cfg.launcher), (cfg.get("env_cfg") or {}).get("dist_cfg", {}).get("timeout"))
    cfg = copy.deepcopy(cfg)
    converted = cfg.pop(CONVERSION, ())
    check_load_from(cfg)
    notes = settle_classes(cfg, model, only_test=only_test)
    left_out = (*_TESTING, "val_evaluator", "auto_scale_lr") if only_test else ()
    options = {key: cfg[key] for key in _OPTIONS if cfg.get(key) is not None and key not in left_out}
    base = RUNNERS.get(cfg.runner_type) if "runner_type" in cfg else Runner
    told = {name: _told(getattr(base, name), name) for name in _BUILT}
    kind = type(base.__name__, (_Given, base), {"given_timestamp": _checked(timestamp), **told})
    runner = kind(model=cfg.model if model is None else model, cfg=cfg, **options)
    _into_files(runner.logger, converted)
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
    log_ops_in_use()
    return runner


def _into_files(logger: MMLogger, notes: Iterable[tuple[int, str]]) -> None:
    """Write a conversion's notes into the run's log, which did not exist when the terminal got them."""
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    for level, note in notes:
        record = logger.makeRecord(logger.name, level, __file__, 0, "2.x config: %s", (note,), None)
        for handler in files:
            handler.handle(record)


# What MMEngine's runner builds by which method, the keys that say it, and the 2.x ones.
_BUILT = {
    "build_model": ("model", "'model'"),
    "build_optim_wrapper": ("optimizer", "'optim_wrapper', in a 2.x config 'optimizer'"),
    "build_param_scheduler": ("schedule", "'param_scheduler', in a 2.x config 'lr_config'"),
    "register_hooks": ("hooks", "'default_hooks' and 'custom_hooks'"),
    "build_train_loop": ("training loop", "'train_cfg', in a 2.x config 'runner'"),
    "build_val_loop": ("validation loop", "'val_cfg' and 'val_evaluator', in a 2.x config 'evaluation'"),
    "build_test_loop": ("test loop", "'test_cfg' and 'test_evaluator', in a 2.x config 'evaluation'"),
}


def _told(build: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(build)
    def building(*args: Any, **kwargs: Any) -> Any:
        with _building(name):
            return build(*args, **kwargs)

    return building


@contextmanager
def _building(method: str) -> Iterator[None]:
    """Tell whatever a part that the config describes fails with as an error of the config.

    Raises:
        ConfigError: It cannot be built.
        SourceNotFoundError: It needs a file that is not there.
    """
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except Exception as error:  # stock and custom parts may fail in any way
        part, keys = _BUILT[method]
        frames = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
        if "build_dataloader" in frames:
            split = method.removeprefix("build_").removesuffix("_loop")
            part, keys = f"{split} data", f"'{split}_dataloader', in a 2.x config 'data.{split}'"
        text = f"{type(error).__name__}: {error}"
        advice = "DEEPLAKE_MMDET_TRACEBACK=1 in the environment shows how it came to this"
        if "_serialize_data" in frames and isinstance(error, ValueError):
            text = "no image is left of them"
            advice = "compare classes with the names in the file of annotations, and see filter_empty_gt"
        kind = SourceNotFoundError if isinstance(error, FileNotFoundError) else ConfigError
        done = "loaded" if part.endswith("data") else "built"
        what = f"The {part} cannot be {done}: {text}"
        raise kind(what, where=f"config key {keys}", advice=advice) from error


class _Given:
    """A runner's mixin for what MMEngine's runner cannot be given."""

    given_timestamp: str | None = None

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Name the log files as asked for; all processes agree on the time already."""
        super().setup_env(env_cfg)  # type: ignore[misc]
        if self.given_timestamp is not None:
            self._timestamp = self.given_timestamp

    def wrap_model(self, model_wrapper_cfg: Any, model: Any) -> Any:
        """Several processes on the CPU have no synchronised batch norm."""
        if model_wrapper_cfg is not None and on_cpu():
            model = revert_sync_batchnorm(model)
        wrapped = super().wrap_model(model_wrapper_cfg, model)  # type: ignore[misc]
        # Of old scripts: MMEngine takes a GPU if there is one. Batches follow the model.
        return wrapped.to("cpu") if self.cfg.get("device") == "cpu" else wrapped  # type: ignore[attr-defined]

    def _init_model_weights(self) -> None:
        # Some detectors draw new weights each time they are asked to, whatever they have loaded since.
        model = getattr(self.model, "module", self.model)  # type: ignore[attr-defined]
        if getattr(model, "is_init", False):
            print_log("The detector has weights already: init_weights() is not called again", "current")
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
