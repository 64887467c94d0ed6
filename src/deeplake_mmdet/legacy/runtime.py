"""Runner, hooks, loggers, environment, seed, resume: everything around the training itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.files import backend_args
from deeplake_mmdet.legacy.notes import Notebook, Settings
from deeplake_mmdet.legacy.packages import convert_imports
from deeplake_mmdet.legacy.schedules.schedule import Loop

__all__ = ["convert_environment", "convert_hooks", "convert_loop", "loop_of"]

_RUNNERS = {"EpochBasedRunner": True, "IterBasedRunner": False, "Runner": True}
_BACKENDS = {
    "TensorboardLoggerHook": ("TensorboardVisBackend", {"log_dir": "save_dir"}),
    "WandbLoggerHook": (
        "WandbVisBackend",
        {"init_kwargs": "init_kwargs", "define_metric_cfg": "define_metric_cfg"},
    ),
    "MMDetWandbHook": ("WandbVisBackend", {"init_kwargs": "init_kwargs"}),
    "MlflowLoggerHook": ("MLflowVisBackend", {"exp_name": "exp_name", "tags": "tags", "params": "params"}),
    "ClearMLLoggerHook": ("ClearMLVisBackend", {"init_kwargs": "init_kwargs"}),
    "NeptuneLoggerHook": ("NeptuneVisBackend", {"init_kwargs": "init_kwargs"}),
    "DvcliveLoggerHook": ("DVCLiveVisBackend", {"init_kwargs": "init_kwargs"}),
}
_TEXT_LOGS = ("TextLoggerHook", "PaviLoggerHook")
# What MMEngine does in each run, as far as it is needed.
_ALWAYS = ("DistSamplerSeedHook", "IterTimerHook", "ParamSchedulerHook")
_EMA = ("ExpMomentumEMAHook", "LinearMomentumEMAHook", "EMAHook")


def loop_of(cfg: Mapping[str, Any], notes: Notebook) -> Loop:
    """How long the config trains: ``runner``, ``total_epochs`` or ``max_iters``; one epoch if nothing says.

    Args:
        cfg: A whole 2.x config.
        notes: Where remarks go.

    Raises:
        ConfigError: The runner is of an unknown type.
    """
    settings = Settings(cfg.get("runner"), "runner", notes)
    kind = settings.take("type", "EpochBasedRunner")
    epochs, iters = settings.take("max_epochs"), settings.take("max_iters")
    kind = _stock_runner(str(kind).removeprefix("Deeplake").removeprefix("DeepLake"), settings)
    if kind not in _RUNNERS:
        raise ConfigError(
            f"Unknown runner {kind!r}",
            where="config key 'runner.type'",
            advice=f"known are {', '.join(_RUNNERS)}",
        )
    settings.drop_rest("3.x loops have no such setting")
    total = cfg.get("total_epochs")
    if total is not None and epochs is not None and total != epochs:
        notes.info("total_epochs", "left out", "runner.max_epochs counts", old=total, new=epochs)
    if epochs is None and iters is None:
        epochs = total
        if epochs is None:
            notes.info("runner", "one epoch is assumed", "the config does not say how long to train")
    if epochs is not None or iters is None:
        return Loop(True, int(epochs if epochs is not None else 1))
    if kind == "EpochBasedRunner":
        notes.info(
            "runner.max_iters",
            "training counts iterations",
            "2.x stopped in the middle of an epoch",
            old=iters,
        )
    return Loop(False, int(iters))


def _stock_runner(kind: str, settings: Settings) -> str:
    """MMCV's runner that one of a fork stands for."""
    if kind in _RUNNERS:
        return kind
    for stock in ("EpochBasedRunner", "IterBasedRunner"):
        what = f"becomes the training loop of {stock}"
        if kind == f"{stock}Amp":
            why = "it only kept the state of apex in checkpoints: optimizer_config says whether apex was used"
            settings.notes.info(settings.at("type"), what, why, old=kind)
            return stock
        if stock.removesuffix("Runner") in kind:
            why = "a runner of the user's own or of a fork: what else it did is lost"
            settings.notes.approximated(settings.at("type"), what, why, old=kind)
            return stock
    return kind


def convert_loop(
    cfg: Mapping[str, Any], loop: Loop, evaluation: Mapping[str, Any], notes: Notebook
) -> dict[str, Any]:
    """Make ``train_cfg``, the training loop; validation losses by ``workflow`` are noted as dropped.

    Args:
        cfg: A whole 2.x config.
        loop: How long it trains, from `loop_of`.
        evaluation: The loop's settings of validation, such as ``val_interval``; empty without validation.
        notes: Where remarks go.
    """
    for flow in cfg.get("workflow") or ():
        if flow and flow[0] != "train":
            notes.dropped(
                "workflow", "no losses of the validation data", "3.x loops do not compute them", old=flow
            )
    if loop.by_epoch:
        return {"type": "EpochBasedTrainLoop", "max_epochs": loop.length, **evaluation}
    return {"type": "IterBasedTrainLoop", "max_iters": loop.length, **evaluation}


def convert_hooks(
    cfg: Mapping[str, Any], loop: Loop, best: Mapping[str, Any], notes: Notebook
) -> dict[str, Any]:
    """Make ``default_hooks``, ``custom_hooks``, ``visualizer`` and ``log_processor``.

    Args:
        cfg: A whole 2.x config.
        loop: How long it trains, from `loop_of`.
        best: Settings of the checkpoint hook that ``evaluation`` gave, such as ``save_best``.
        notes: Where remarks go.

    Returns:
        These keys of a 3.x config; ``custom_hooks`` only if there are some.
    """
    log = Settings(cfg.get("log_config"), "log_config", notes)
    interval = log.take("interval", 50)
    loggers = {f"log_config.hooks[{number}]": hook for number, hook in enumerate(log.take("hooks") or ())}
    custom = {f"custom_hooks[{number}]": hook for number, hook in enumerate(cfg.get("custom_hooks") or ())}
    also = {key: hook for key, hook in custom.items() if hook.get("type") in (*_BACKENDS, *_TEXT_LOGS)}
    backends = _backends({**loggers, **also}, interval, loop, notes)
    log.drop_rest("3.x has no such setting of the log")
    found: dict[str, Any] = {
        "default_hooks": {
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": interval},
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "checkpoint": _checkpoint(cfg, loop, best, notes),
            "sampler_seed": {"type": "DistSamplerSeedHook"},
            "visualization": {"type": "DetVisualizationHook"},
        },
        "visualizer": {"type": "DetLocalVisualizer", "vis_backends": backends, "name": "visualizer"},
        "log_processor": {"type": "LogProcessor", "window_size": 50, "by_epoch": loop.by_epoch},
    }
    kind = str((cfg.get("model") or {}).get("type", "")).removeprefix("mmdet.")
    for key in [
        key for key, hook in custom.items() if kind == "RPN" and "NumClassCheck" in str(hook.get("type"))
    ]:
        why = "3.x's would compare the one class of an RPN with those of the data, which 2.x did not"
        notes.info(key, "left out", why, old=custom.pop(key))
    hooks = [new for key, hook in custom.items() if key not in also for new in _custom_hook(hook, key, notes)]
    if hooks:
        found["custom_hooks"] = hooks
    return found


def _checkpoint(
    cfg: Mapping[str, Any], loop: Loop, best: Mapping[str, Any], notes: Notebook
) -> dict[str, Any]:
    settings = Settings(cfg.get("checkpoint_config"), "checkpoint_config", notes)
    hook = {"type": "CheckpointHook", "interval": settings.take("interval", 1)}
    by_epoch = settings.take("by_epoch", loop.by_epoch)
    hook |= {"by_epoch": bool(by_epoch)} if by_epoch is not True or not loop.by_epoch else {}
    hook |= settings.move(
        "max_keep_ckpts", "save_last", "save_optimizer", "out_dir", "filename_tmpl", "save_begin"
    )
    settings.drop("type", "3.x has one checkpoint hook", harmless=(None, "CheckpointHook"))
    settings.drop("create_symlink", "3.x writes the file last_checkpoint instead", harmless=(None, True))
    for name in ("meta", "sync_buffer"):
        settings.drop(name, "3.x keeps its own meta, and buffers as rank 0 has them", harmless=(None, False))
    hook |= backend_args(settings)
    settings.drop_rest("CheckpointHook has no such argument")
    return {**hook, **{name: value for name, value in best.items() if value is not None}}


def _backends(hooks: Mapping[str, Any], interval: Any, loop: Loop, notes: Notebook) -> list[dict[str, Any]]:
    backends: list[dict[str, Any]] = [{"type": "LocalVisBackend"}]
    for key, hook in hooks.items():
        settings = Settings(hook, key, notes)
        kind = settings.take("type")
        settings.drop("interval", "all loggers follow log_config.interval", harmless=(None, interval))
        why = "all loggers count as the training loop does"
        settings.drop("by_epoch", why, harmless=(None, loop.by_epoch))
        for name in ("ignore_last", "reset_flag", "priority"):
            settings.drop(name, "3.x has one logger, with its own order")
        if kind in (*_TEXT_LOGS, None):
            if kind == "PaviLoggerHook":
                notes.dropped(settings.key, "dropped", "3.x knows no Pavi", old=kind)
            settings.drop_rest("the text log of 3.x has no such setting")
        elif kind in _BACKENDS:
            name, arguments = _BACKENDS[kind]
            backend = {"type": name}
            for old, new in arguments.items():
                if (value := settings.take(old)) is not None:
                    backend[new] = value
            backends.append(backend)
            settings.drop_rest(f"{name} has no such argument")
        else:
            names = ", ".join(settings.rest()) or "none"  # not their values: API keys may be among them
            why = f"an unknown logger; write a vis_backend (its settings: {names})"
            notes.dropped(settings.key, "dropped", why, old=kind)
    return backends


def _custom_hook(hook: Mapping[str, Any], key: str, notes: Notebook) -> list[dict[str, Any]]:
    settings = Settings(hook, key, notes)
    kind = str(settings.take("type", "")).removeprefix("mmdet.")
    if kind == "SyncNormHook":
        for name in ("num_last_epochs", "interval"):
            settings.drop(name, "it acts before each validation")
        return [{"type": kind, **settings.rest()}]
    if kind in _EMA and "ema_type" not in settings:
        return [_ema(kind, settings)]
    if kind in _ALWAYS:
        notes.info(key, "left out", f"each run of 3.x has the {kind}", old=hook)
        return []
    if kind == "SyncRandomSizeHook":
        notes.approximated(
            key, "dropped", "use BatchSyncRandomResize in model.data_preprocessor.batch_augments", old=hook
        )
        return []
    if kind in _HOOKS:
        return [{"type": kind, **settings.rest()}]
    notes.info(
        key, f"{kind or hook!r} is passed on as it is", "make sure that it is registered and written for 3.x"
    )
    return [dict(hook)]


def _ema(kind: str, settings: Settings) -> dict[str, Any]:
    settings.drop("resume_from", "load_from and resume also restore averaged weights")
    total, warm_up = settings.take("total_iter"), settings.take("warm_up")
    buffers = not settings.take("skip_buffers", False)
    arguments = settings.move("momentum", "interval", "priority")
    hook: dict[str, Any] = {
        "type": "EMAHook",
        "ema_type": "ExpMomentumEMA",
        **arguments,
        "update_buffers": buffers,
    }
    if kind == "ExpMomentumEMAHook":
        if total is not None:
            hook["gamma"] = total
    else:
        hook["ema_type"] = (
            "MomentumAnnealingEMA" if kind == "LinearMomentumEMAHook" else "ExponentialMovingAverage"
        )
        if kind == "EMAHook":
            what = "averages with its full momentum from the beginning"
            settings.notes.approximated(settings.key, what, "2.x warmed up", old=warm_up)
        if kind == "LinearMomentumEMAHook":
            settings.notes.approximated(
                settings.key,
                "becomes MomentumAnnealingEMA",
                "its warm-up formula differs",
                old=kind,
                new="gamma",
            )
            if warm_up is not None:
                hook["gamma"] = warm_up
    settings.drop_rest("EMAHook has no such argument")
    return hook


def convert_environment(cfg: Mapping[str, Any], seed: int | None, notes: Notebook) -> dict[str, Any]:
    """Make ``env_cfg``, ``randomness``, ``load_from`` and ``resume``; take the keys that keep their names.

    Args:
        cfg: A whole 2.x config.
        seed: That of a ``deeplake_dataloader``, for a config without ``seed``; None if there is none.
        notes: Where remarks go.

    Returns:
        These keys of a 3.x config, with ``custom_imports`` if there are some.
    """
    dist = dict(cfg.get("dist_params") or {"backend": "nccl"})
    if (port := dist.pop("port", None)) is not None:
        notes.info("dist_params.port", "left out", "the launcher chooses it (MASTER_PORT)", old=port)
    processes: dict[str, Any] = {"mp_start_method": cfg.get("mp_start_method", "fork")}
    processes["opencv_num_threads"] = cfg.get("opencv_num_threads", 0)
    if cfg.get("omp_num_threads") is not None:
        notes.dropped(
            "omp_num_threads",
            "dropped",
            "set the environment variable OMP_NUM_THREADS",
            old=cfg["omp_num_threads"],
        )
    found: dict[str, Any] = {
        "default_scope": "mmdet",
        "env_cfg": {
            "cudnn_benchmark": bool(cfg.get("cudnn_benchmark", False)),
            "mp_cfg": processes,
            "dist_cfg": dist,
        },
        "log_level": cfg.get("log_level", "INFO"),
    }
    found |= _resume(cfg)
    chosen = cfg.get("seed") if cfg.get("seed") is not None else seed
    if chosen is not None or cfg.get("deterministic"):
        found["randomness"] = {"seed": chosen, "deterministic": bool(cfg.get("deterministic", False))}
        found["randomness"]["diff_rank_seed"] = bool(cfg.get("diff_seed", False))
    if cfg.get("device") == "cpu":
        found["device"] = "cpu"  # which our runs take; MMEngine's would not
    elif cfg.get("device") not in (None, "cuda"):
        why = "3.x takes a GPU if there is one; CUDA_VISIBLE_DEVICES chooses it, -1 means none"
        notes.dropped("device", "dropped", why, old=cfg["device"])
    if cfg.get("gpu_ids") is not None:
        notes.info("gpu_ids", "dropped", "set CUDA_VISIBLE_DEVICES to choose GPUs", old=cfg["gpu_ids"])
    for name in ("find_unused_parameters", "auto_scale_lr", "work_dir"):
        if cfg.get(name) is not None:
            found[name] = cfg[name]
    return found | convert_imports(cfg, notes)


def _resume(cfg: Mapping[str, Any]) -> dict[str, Any]:
    if cfg.get("resume_from"):
        return {"load_from": cfg["resume_from"], "resume": True}
    if cfg.get("auto_resume"):
        return {"load_from": None, "resume": True}
    return {"load_from": cfg.get("load_from"), "resume": False}


_HOOKS = (
    *(
        "NumClassCheckHook",
        "CheckInvalidLossHook",
        "SetEpochInfoHook",
        "YOLOXModeSwitchHook",
        "MemoryProfilerHook",
    ),
    *("EmptyCacheHook", "ProfilerHook", "MeanTeacherHook", "EMAHook"),
)
